/* SPDX-License-Identifier: BSD-3-Clause */
#include "alarms.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire.h"

/* Ends the test with a sentence, and the line of the test that is meant. */
#define END_AT(file, line, ...)                                                                    \
	do {                                                                                       \
		print_error(__VA_ARGS__);                                                          \
		print_error("\n");                                                                 \
		_fail(file, line);                                                                 \
	} while (0)

static void want_status(
	const char *file, int line, struct vfe_session *s, const char *what, int status)
{
	if (status < 0)
		END_AT(file, line, "%s: %s", what, vfe_error(s));
	if (status != VIRTIO_RTC_S_OK)
		END_AT(file, line, "%s: status %s", what, vfe_rtc_status_name((uint8_t)status));
}

void alarms_args_with(struct fixture *f, const char *idle, const char *clocks)
{
	/* On one CPU: whoever has no lcore to spare tests with these. */
	static const char *const eal[] = {"--no-huge", "-m", "64", "--no-shconf", "--no-pci",
		"--no-telemetry", "--lcores", "0@0,1@0,2@0", "--"};
	bool dedicated = strcmp(idle, "dedicated") == 0;

	for (unsigned i = 0; dedicated && i < sizeof(eal) / sizeof(eal[0]); i++)
		fixture_arg(f, eal[i]);
	fixture_arg(f, "--socket-path");
	fixture_arg(f, f->socket);
	fixture_arg(f, "--clocks");
	fixture_arg(f, clocks);
	fixture_arg(f, "--idle");
	fixture_arg(f, dedicated ? "interrupt" : idle);
}

void alarms_args(struct fixture *f, const char *idle)
{
	alarms_args_with(f, idle, ALARMS_CLOCKS);
}

void alarms_config(const struct fixture *f, struct vfe_config *cfg)
{
	fixture_config(f, cfg);
	cfg->features |= UINT64_C(1) << VIRTIO_RTC_F_ALARM;
	cfg->queues = 1u << VIRTIO_RTC_REQUESTQ | 1u << VIRTIO_RTC_ALARMQ;
}

void alarms_clear(struct vfe_session *s, uint16_t n_clocks)
{
	for (uint16_t clock = 0; clock < n_clocks; clock++)
		alarms_set(s, clock, 0, false);
}

void alarms_connect(const struct fixture *f, struct vfe_session *s)
{
	struct vfe_config cfg;

	alarms_config(f, &cfg);
	fixture_connect_as(s, &cfg);
	alarms_clear(s, ALARMS_N);
}

void alarms_fill_at(const char *file, int line, struct vfe_session *s, unsigned n)
{
	if (vfe_rtc_alarmq_fill(s, n, sizeof(struct virtio_rtc_notif_alarm)))
		END_AT(file, line, "%s", vfe_error(s));
}

uint64_t alarms_now_at(const char *file, int line, struct vfe_session *s, uint16_t clock)
{
	uint64_t now_ns = 0;

	want_status(file, line, s, "READ", vfe_rtc_read(s, clock, &now_ns));
	return now_ns;
}

void alarms_set_at(const char *file, int line, struct vfe_session *s, uint16_t clock,
	uint64_t alarm_ns, bool enabled)
{
	want_status(file, line, s, "SET_ALARM", vfe_rtc_set_alarm(s, clock, alarm_ns, enabled));
}

void alarms_enable_at(
	const char *file, int line, struct vfe_session *s, uint16_t clock, bool enabled)
{
	want_status(
		file, line, s, "SET_ALARM_ENABLED", vfe_rtc_set_alarm_enabled(s, clock, enabled));
}

void alarms_check_at(const char *file, int line, struct vfe_session *s, uint16_t clock,
	uint64_t alarm_ns, bool enabled)
{
	uint64_t is_ns = 0;
	bool is_enabled = false;

	want_status(file, line, s, "READ_ALARM", vfe_rtc_read_alarm(s, clock, &is_ns, &is_enabled));
	if (is_ns != alarm_ns || is_enabled != enabled)
		END_AT(file, line,
			"the alarm of clock %u is %" PRIu64 ", %s; it should be %" PRIu64 ", %s",
			clock, is_ns, is_enabled ? "enabled" : "disabled", alarm_ns,
			enabled ? "enabled" : "disabled");
}

void alarms_wait_at(const char *file, int line, struct vfe_session *s, uint16_t clock)
{
	uint16_t is_clock = 0;

	if (vfe_rtc_alarm_wait(s, &is_clock, false, FIXTURE_WAIT_MS))
		END_AT(file, line, "no notification of clock %u: %s", clock, vfe_error(s));
	if (is_clock != clock)
		END_AT(file, line, "a notification of clock %u instead of clock %u", is_clock,
			clock);
}

void alarms_wait_all_at(const char *file, int line, struct vfe_session *s, uint64_t clocks)
{
	while (clocks) {
		uint16_t clock = 0;

		if (vfe_rtc_alarm_wait(s, &clock, false, FIXTURE_WAIT_MS))
			END_AT(file, line, "no notification of clocks 0x%" PRIx64 ": %s", clocks,
				vfe_error(s));
		if (clock > 63 || !(clocks >> clock & 1))
			END_AT(file, line, "a notification of clock %u; awaited: 0x%" PRIx64, clock,
				clocks);
		clocks &= ~(UINT64_C(1) << clock);
	}
}

void alarms_wait_none_at(const char *file, int line, struct vfe_session *s, unsigned ms)
{
	uint16_t clock = 0;
	int err = vfe_rtc_alarm_wait(s, &clock, false, ms);

	if (err == 0)
		END_AT(file, line, "a notification of clock %u that should not be", clock);
	if (err != -ETIMEDOUT)
		END_AT(file, line, "%s", vfe_error(s));
}
