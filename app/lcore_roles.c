/* SPDX-License-Identifier: BSD-3-Clause */
#include "lcore_roles.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_listed(const struct app_alarm_lcores *wanted, unsigned lcore_id)
{
	for (unsigned i = 0; i < wanted->n; i++)
		if (wanted->lcore[i] == lcore_id)
			return true;
	return false;
}

static bool is_worker(const struct app_lcore *lcore, unsigned n, unsigned lcore_id)
{
	for (unsigned i = 0; i < n; i++)
		if (lcore[i].lcore_id == lcore_id)
			return true;
	return false;
}

/* "1-3,7"; if it does not fit, its beginning and "...". */
static void name_workers(const struct app_lcore *lcore, unsigned n, char *text, size_t text_bytes)
{
	size_t used = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned first = i;
		char range[32];
		size_t bytes;

		while (i + 1 < n && lcore[i + 1].lcore_id == lcore[i].lcore_id + 1)
			i++;
		if (i == first)
			snprintf(range, sizeof(range), "%s%u", used ? "," : "", lcore[i].lcore_id);
		else
			snprintf(range, sizeof(range), "%s%u-%u", used ? "," : "",
				lcore[first].lcore_id, lcore[i].lcore_id);
		bytes = strlen(range);
		if (used + bytes + sizeof(",...") > text_bytes) {
			snprintf(text + used, text_bytes - used, ",...");
			return;
		}
		memcpy(text + used, range, bytes + 1);
		used += bytes;
	}
}

static int judge_list(
	const struct app_lcore *lcore, unsigned n, const struct app_alarm_lcores *wanted, char *why)
{
	unsigned left = 0;
	char workers[256];

	name_workers(lcore, n, workers, sizeof(workers));
	for (unsigned i = 0; i < wanted->n; i++) {
		if (!is_worker(lcore, n, wanted->lcore[i])) {
			snprintf(why, APP_LCORE_ROLES_WHY_BYTES,
				"alarm_lcore: lcore %u is no worker of the EAL; accepted: auto, "
				"shared, or some of %s",
				wanted->lcore[i], workers);
			return -EINVAL;
		}
	}
	for (unsigned i = 0; i < n; i++)
		if (!is_listed(wanted, lcore[i].lcore_id))
			left++;
	if (left > 0)
		return 0;
	snprintf(why, APP_LCORE_ROLES_WHY_BYTES,
		"alarm_lcore: no lcore is left for requests; accepted: auto, shared, or fewer than "
		"all workers of the EAL, which are %s",
		workers);
	return -EINVAL;
}

static unsigned count_node(const struct app_lcore *lcore, unsigned n, int node)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		if (lcore[i].node == node)
			count++;
	return count;
}

static void assign_auto(struct app_lcore *lcore, unsigned n)
{
	bool any = false;

	for (unsigned i = 0; i < n; i++) {
		bool last_of_node = count_node(lcore + i + 1, n - i - 1, lcore[i].node) == 0;

		lcore[i].alarms = last_of_node && count_node(lcore, n, lcore[i].node) > 1;
		any = any || lcore[i].alarms;
	}
	if (!any)
		lcore[n - 1].alarms = true;
	for (unsigned i = 0; i < n; i++)
		lcore[i].requests = !lcore[i].alarms || n == 1;
}

int app_lcore_roles_assign(struct app_lcore *lcore, unsigned n, bool alarms,
	const struct app_alarm_lcores *wanted, bool *shared, char *why)
{
	assert(n >= 1);
	if (wanted->choice == APP_ALARM_LCORES_LIST && judge_list(lcore, n, wanted, why))
		return -EINVAL;

	*shared = alarms && wanted->choice == APP_ALARM_LCORES_AUTO && n == 1;
	for (unsigned i = 0; i < n; i++) {
		lcore[i].requests = true;
		lcore[i].alarms = false;
	}
	if (!alarms)
		return 0;
	switch (wanted->choice) {
	case APP_ALARM_LCORES_AUTO:
		assign_auto(lcore, n);
		break;
	case APP_ALARM_LCORES_SHARED:
		for (unsigned i = 0; i < n; i++)
			lcore[i].alarms = count_node(lcore, i, lcore[i].node) == 0;
		break;
	case APP_ALARM_LCORES_LIST:
		for (unsigned i = 0; i < n; i++) {
			lcore[i].alarms = is_listed(wanted, lcore[i].lcore_id);
			lcore[i].requests = !lcore[i].alarms;
		}
		break;
	}
	return 0;
}
