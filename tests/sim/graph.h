/* Who is connected to whom, by links that both ends have. */
#ifndef SIM_GRAPH_H
#define SIM_GRAPH_H

#include <stdint.h>

struct sim;

/* part[p]: a number that all peers p can reach share; of living peers. */
void graph_parts(const struct sim *s, uint32_t *part);
/* How many parts the living peers fall into. */
uint32_t graph_components(const struct sim *s);

struct degrees {
	unsigned max;
	double mean;
};
struct degrees graph_degrees(const struct sim *s);

#endif
