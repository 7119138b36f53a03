/* SPDX-License-Identifier: BSD-3-Clause */
/* What --help, --version and --print-capabilities print: see config.h. */
#include <stdio.h>

#include <rte_version.h>

#include "config.h"

void app_config_print_help(void)
{
	printf("dpdk-rtc: a virtio-rtc device for virtual machines, over vhost-user\n"
	       "\n"
	       "  dpdk-rtc --socket-path PATH\n"
	       "  dpdk-rtc [EAL options --] [options]\n"
	       "\n"
	       "Devices; each has a socket of its own, and there may be up to %d, or %d\n"
	       "with --client:\n"
	       "  --socket-path PATH    a device on this socket, named after it; can be repeated\n"
	       "  --client              connect to the sockets of --socket-path; default: listen\n"
	       "  --clocks LIST         the clocks of these devices, separated by commas:\n"
	       "                        %s;\n"
	       "                        or none; default: %s\n"
	       "  --source SOURCE       where the time of these devices comes from: system (default),\n"
	       "                        phc:/dev/ptpN (a PTP hardware clock that shows TAI) or\n"
	       "                        phc:/dev/ptpN,utc\n"
	       "  --counter COUNTER     where the guest's TSC or CNTVCT is known from, for\n"
	       "                        cross-timestamps: auto (the VMM, or else KVM; default), vmm,\n"
	       "                        kvm, identity, offset:N, none\n"
	       "  --packed CHOICE       on (default): packed virtqueues are offered; off: split ones\n"
	       "                        alone\n"
	       "  --retain SCOPE        for how long these devices keep a guest's alarms: vmm (while one\n"
	       "                        process is the front-end; default), name (for whoever uses the\n"
	       "                        device), no (not even over a reset)\n"
	       "  --alarm-action ACTION what else happens when an alarm of theirs expires: none\n"
	       "                        (default), qmp:PATH (wakes that QEMU's guest), exec:PROGRAM\n"
	       "  --socket-mode MODE    who may connect to these sockets, in octal as in 0660; default:\n"
	       "                        what the umask leaves\n"
	       "  --socket-owner OWNER  USER, USER:GROUP or :GROUP that these sockets are given to;\n"
	       "                        default: who runs dpdk-rtc\n"
	       "  --config FILE         devices and more from a file; dpdk-rtc.ini shows all of it\n"
	       "\n"
	       "All devices; these have precedence over the file:\n"
	       "  --idle POLICY         what a request lcore does when there is no request: busy\n"
	       "                        (polls; default), pause (polls gently), interrupt (sleeps)\n"
	       "  --leap-table FILE     when leap seconds were and will be, as IERS publishes it;\n"
	       "                        default: %s\n"
	       "  --host-timescale T    what CLOCK_REALTIME of this host shows: utc (default),\n"
	       "                        tai-offset (utc, and the kernel is told TAI - UTC),\n"
	       "                        noon-linear, utc-sls, unknown\n"
	       "  --phc-holdover S      how long readings go on when a PTP hardware clock is gone, in\n"
	       "                        seconds; default: %d\n"
	       "  --alarm-lcore LCORES  which lcores fire alarms: auto (one of each NUMA node that has\n"
	       "                        two; default), shared (request lcores do it, too), or a list\n"
	       "                        as in 3,11\n"
	       "  --alarm-store DIR     where alarms outlive the process: auto (default), none, or a\n"
	       "                        folder on a tmpfs\n"
	       "  --seccomp CHOICE      on%s: the system calls of a daemon that serves are\n"
	       "                        limited to those that it makes; off%s: for debugging\n"
	       "\n"
	       "Instead of running:\n"
	       "  --check-config        say whether all of this would do\n"
	       "  --check-host          say line by line what this machine lacks for short and steady\n"
	       "                        readings on the lcores that these options give\n"
	       "  --print-capabilities  what QEMU's conventions for back-ends ask for, in JSON\n"
	       "  --help, --version\n"
	       "\n"
	       "Without \"--\" the EAL is asked for little: no hugepages, no PCI, no root; one lcore\n"
	       "for control, one for requests and, where clocks have alarms and there are three\n"
	       "CPUs, one for these. With it, what stands before it is the EAL's, for example:\n"
	       "dpdk-rtc -l 2,3 --in-memory -- --socket-path /run/vm1.sock\n",
		APP_SERVERS_MAX, APP_DEVICES_MAX, vrtc_clock_accepted(), APP_CLOCKS_DEFAULT,
		APP_LEAP_TABLE, APP_HOLDOVER_S, APP_SECCOMP ? " (default)" : "",
		APP_SECCOMP ? "" : " (default)");
}

void app_config_print_version(void)
{
	printf("dpdk-rtc " DPDK_RTC_VERSION " (%s)\n", rte_version());
}

void app_config_print_capabilities(void)
{
	/*
	 * QEMU's schema (docs/interop/vhost-user.json) has no type for this device yet; "rtc" is
	 * its name by the schema's own rule, that of the kernel's virtio_ids.h. There are no
	 * features to speak of.
	 */
	printf("{\n  \"type\": \"rtc\"\n}\n");
}
