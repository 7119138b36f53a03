/* SPDX-License-Identifier: BSD-3-Clause */
#include "host_advice.h"

#include <stdarg.h>

static const char *const states[APP_HOST_STATES] = {
	[APP_HOST_OK] = "ok",
	[APP_HOST_BETTER] = "could be better",
	[APP_HOST_WRONG] = "wrong",
	[APP_HOST_UNKNOWN] = "cannot be told",
};

void app_host_advice_tell(struct app_host_advice *advice, enum app_host_state state,
	const char *subject, const char *fmt, ...)
{
	va_list args;

	advice->n[state]++;
	fprintf(advice->out, "%-15s  %s: ", states[state], subject);
	va_start(args, fmt);
	/* clang 14 does not see va_start() once rte_config.h was included. */
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
	vfprintf(advice->out, fmt, args);
	va_end(args);
	fputc('\n', advice->out);
}

void app_host_advice_end(struct app_host_advice *advice)
{
	for (unsigned i = 0; i < APP_HOST_STATES; i++)
		fprintf(advice->out, "%s%u %s", i ? ", " : "", advice->n[i], states[i]);
	fputc('\n', advice->out);
}
