/* What a shell does with effects, for a network that is simulated. */
#ifndef SIM_APPLY_H
#define SIM_APPLY_H

#include <stdint.h>

struct sim;

/* Sees to it that the peer ticks when it wants to. */
void apply_retime(struct sim *s, uint32_t peer);

#endif
