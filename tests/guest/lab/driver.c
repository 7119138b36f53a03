/* SPDX-License-Identifier: BSD-3-Clause */
#include "driver.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lab.h"
#include "wire.h"

#define ALARM_FEATURE    (1ull << VIRTIO_RTC_F_ALARM)
/* What the driver of Linux puts into the alarmq. */
#define NOTIFICATION_LEN 16

void lab_driver_check(struct vfe_session *s, int result, const char *doing)
{
	if (result < 0)
		lab_fail("%s: %s", doing, *vfe_error(s) ? vfe_error(s) : strerror(-result));
	if (result > 0)
		lab_fail("%s: status %s", doing, vfe_rtc_status_name((uint8_t)result));
}

static void configure(struct vfe_config *config, const char *socket_path)
{
	vfe_config_default(config, socket_path);
	config->timeout_ms = LAB_PATIENCE_MS;
	config->connect_ms = LAB_PATIENCE_MS;
	/* So that each answer proves the device's call, and CPUs are left for the daemon. */
	config->wait = VFE_WAIT_SLEEP;
	config->ring_size = 64;
	config->mem_bytes = 1 << 20;
}

void lab_driver_start(struct vfe_session *s, const char *socket_path)
{
	struct vfe_config config;

	configure(&config, socket_path);
	lab_driver_check(s, vfe_session_init(s, &config), "guest memory");
	lab_driver_check(s, vfe_session_start(s), "connecting");
}

void lab_driver_start_polling(struct vfe_session *s, const char *socket_path)
{
	struct vfe_config config;

	configure(&config, socket_path);
	config.wait = VFE_WAIT_POLL;
	lab_driver_check(s, vfe_session_init(s, &config), "guest memory");
	lab_driver_check(s, vfe_session_start(s), "connecting");
}

void lab_driver_start_alarms(struct vfe_session *s, const char *socket_path, unsigned int buffers)
{
	struct vfe_config config;
	int result;

	configure(&config, socket_path);
	config.queues = 1u << VIRTIO_RTC_REQUESTQ | 1u << VIRTIO_RTC_ALARMQ;
	config.features |= ALARM_FEATURE;
	config.features_required |= ALARM_FEATURE;
	lab_driver_check(s, vfe_session_init(s, &config), "guest memory");
	result = vfe_session_start(s);
	if (result == -ENOTSUP && !(s->features_offered & ALARM_FEATURE))
		lab_skip("the back-end offers no alarm (VIRTIO_RTC_F_ALARM)");
	lab_driver_check(s, result, "connecting");
	if (buffers > 0)
		lab_driver_fill(s, buffers);
}

void lab_driver_read(struct vfe_session *s, uint16_t clock, int64_t *reading_ns)
{
	uint64_t reading;

	lab_driver_check(s, vfe_rtc_read(s, clock, &reading), "READ");
	*reading_ns = (int64_t)reading;
}

void lab_driver_set_alarm(struct vfe_session *s, uint16_t clock, int64_t alarm_ns)
{
	lab_driver_check(s, vfe_rtc_set_alarm(s, clock, (uint64_t)alarm_ns, true), "SET_ALARM");
}

void lab_driver_disable_alarm(struct vfe_session *s, uint16_t clock)
{
	lab_driver_check(s, vfe_rtc_set_alarm_enabled(s, clock, false), "SET_ALARM_ENABLED");
}

bool lab_driver_next_alarm(struct vfe_session *s, uint16_t *clock, unsigned int timeout_ms)
{
	int result = vfe_rtc_alarm_wait(s, clock, true, timeout_ms);

	/* The buffer is there and the call is not: it is on its way, or the device forgot it. */
	if (result == -ETIMEDOUT && strstr(vfe_error(s), "no call came"))
		result = vfe_rtc_alarm_wait(s, clock, true, LAB_PATIENCE_MS);
	else if (result == -ETIMEDOUT)
		return false;
	lab_driver_check(s, result, "waiting for an alarm");
	return true;
}

void lab_driver_expect_alarm(
	struct vfe_session *s, uint16_t clock, int64_t alarm_ns, const char *when)
{
	int64_t reading_ns;
	uint16_t came;

	lab_check(lab_driver_next_alarm(s, &came, LAB_PATIENCE_MS),
		"%s: no notification of clock %u in %d ms", when, clock, LAB_PATIENCE_MS);
	lab_check(came == clock, "%s: a notification of clock %u, not of %u", when, came, clock);
	lab_driver_read(s, clock, &reading_ns);
	lab_check(reading_ns >= alarm_ns,
		"%s: the notification of clock %u is early: it reads %" PRId64 " ns, %" PRId64
		" ns before the alarm",
		when, clock, reading_ns, alarm_ns - reading_ns);
}

void lab_driver_expect_silence(struct vfe_session *s, const char *when)
{
	uint16_t came;

	if (lab_driver_next_alarm(s, &came, LAB_SILENCE_MS))
		lab_fail("%s: a notification of clock %u", when, came);
}

void lab_driver_fill(struct vfe_session *s, unsigned int buffers)
{
	lab_driver_check(s, vfe_rtc_alarmq_fill(s, buffers, NOTIFICATION_LEN), "alarmq");
}
