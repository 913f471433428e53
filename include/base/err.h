/* Errors as values.
 *
 * Every function that can fail for a reason its caller may want to know
 * returns an enum err; results go out by pointer and are written only on
 * ERR_OK. Usable from any thread.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_LIST(X)                            \
	X(OK, "no error")                      \
	X(NOMEM, "out of memory")              \
	X(SYNTAX, "malformed")                 \
	X(RANGE, "out of range")               \
	X(TOO_LONG, "too long")                \
	X(VERSION, "unknown protocol version") \
	X(UNKNOWN, "unknown type")             \
	X(FULL, "full")                        \
	X(NOT_FOUND, "not found")              \
	X(CLOSED, "closed by the other side")  \
	X(RESET, "connection reset")           \
	X(REFUSED, "connection refused")       \
	X(KEY, "no key in common")             \
	X(TIMEOUT, "timed out")                \
	X(STOPPED, "stopping")                 \
	X(SYSTEM, "system error")

enum err {
#define ERR_ENUM(name, text) ERR_##name,
	ERR_LIST(ERR_ENUM)
#undef ERR_ENUM
};

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* A short English text, never NULL, in static storage. */
const char *err_text(enum err e);

#endif
