#include "base/err.h"

const char *err_text(enum err e)
{
	static const char *const texts[] = {
#define ERR_TEXT(name, text) text,
		ERR_LIST(ERR_TEXT)
#undef ERR_TEXT
	};
	if ((unsigned)e >= sizeof texts / sizeof texts[0])
		return "unknown error";
	return texts[e];
}
