/* SPDX-License-Identifier: BSD-3-Clause */
#include "privileges.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cap-ng.h>

#include "syscalls.h"

/*
 * Private anonymous memory, ELF headers and private hugepages. Not what is shared, in files or not
 * (core(5)): guests' memory is, of whatever kind.
 */
#define COREDUMP_FILTER "0x31"

static const capng_type_t kinds =
	(capng_type_t)(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET);

static void limit_core_dumps(void)
{
	int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* A kernel without core dumps has nothing to be told. */
	if (write(fd, COREDUMP_FILTER, strlen(COREDUMP_FILTER)) < 0) {
		close(fd);
		return;
	}
	close(fd);
}

static bool gives_sockets_away(const struct app_config *config)
{
	for (unsigned i = 0; i < config->n_devices; i++)
		if (config->device[i].access.has_user || config->device[i].access.has_group)
			return true;
	return false;
}

static bool drop_capabilities(bool chown)
{
	/*
	 * Sockets, alarms and devices of other users (QMP, /dev/ptpN, KVM's debugfs), the VMM's
	 * folder in /proc, mlock(), and, the last one, an owner for sockets that are made later.
	 */
	static const unsigned kept[] = {
		CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_IPC_LOCK, CAP_CHOWN};
	const unsigned n = sizeof(kept) / sizeof(kept[0]) - (chown ? 0 : 1);
	bool has[sizeof(kept) / sizeof(kept[0])];
	bool bounding;

	if (capng_get_caps_process())
		return false;
	bounding = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	for (unsigned i = 0; i < n; i++)
		has[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);
	capng_clear(CAPNG_SELECT_BOTH);
	for (unsigned i = 0; i < n; i++) {
		if (has[i] && capng_update(CAPNG_ADD, kinds, kept[i]))
			return false;
	}
	return capng_apply(bounding ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) == 0;
}

const char *app_privileges_drop(const struct app_config *config)
{
	limit_core_dumps();
	if (app_config_executes_programs(config))
		return "privileges stay: programs of exec: would inherit what is left of them";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return "privileges stay: the kernel knows no no_new_privs";
	if (config->n_eal != 1)
		return "no new privileges; capabilities stay, since EAL options may want them";
	return drop_capabilities(gives_sockets_away(config))
		       ? "no new privileges; capabilities dropped"
		       : "no new privileges; capabilities could not be dropped";
}

int app_privileges_limit_calls(const struct app_config *config, const char **sentence)
{
	int rc;

	if (!config->seccomp) {
		*sentence = "system calls are not limited: seccomp = off";
		return 0;
	}
	if (app_config_executes_programs(config)) {
		*sentence = "system calls are not limited: programs of exec: would inherit it";
		return 0;
	}
	rc = app_syscalls_limit(config->n_eal != 1);
	*sentence =
		rc ? strerror(-rc) : "system calls are limited to those of a daemon that serves";
	return rc;
}
