/* SPDX-License-Identifier: BSD-3-Clause */
#include "advice.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire.h"

/* Appends as long as there is room. */
static void say(char *text, size_t text_bytes, size_t *used, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void say(char *text, size_t text_bytes, size_t *used, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (*used >= text_bytes)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text + *used, text_bytes - *used, fmt, ap);
	va_end(ap);
	if (n > 0)
		*used += (size_t)n;
}

/* The feature bits that belong to a device type: virtio-v1.4 Feature Bits. */
static uint64_t device_bits(uint64_t features)
{
	return features & (((1ull << 24) - 1) | ~((1ull << 50) - 1));
}

static void advise_socket(const struct probe *p, int err, char *text, size_t bytes, size_t *used)
{
	const char *path = p->options.socket_path;
	struct stat st;

	switch (err) {
	case -ENOENT:
		say(text, bytes, used,
			"There is no such socket. Is the back-end running, and with this path? If it\n"
			"runs as a vhost-user client (it connects), use --listen.\n");
		break;
	case -EACCES:
	case -EPERM:
		if (stat(path, &st) == 0) {
			const struct passwd *pw = getpwuid(st.st_uid);

			say(text, bytes, used,
				"The socket belongs to user %s (uid %u, gid %u, mode %04o); you are uid "
				"%u.\nConnecting needs write permission: run as that user or in that "
				"group, or use sudo.\n",
				pw ? pw->pw_name : "?", st.st_uid, st.st_gid, st.st_mode & 07777,
				geteuid());
		} else {
			say(text, bytes, used,
				"You (uid %u) may not enter one of the directories of the path. Run as "
				"a user who may,\nor use sudo.\n",
				geteuid());
		}
		break;
	case -ECONNREFUSED:
		say(text, bytes, used,
			"Nobody listens on this socket: it is a left-over of a back-end that has "
			"ended. Start\nthe back-end again; it may ask to have the old socket removed.\n");
		break;
	case -ENOTSOCK:
		say(text, bytes, used,
			"This is not a socket. Which path was given to the back-end?\n");
		break;
	case -EPROTOTYPE:
		say(text, bytes, used,
			"This socket is not a stream socket, so no vhost-user back-end owns it.\n");
		break;
	case -EADDRINUSE:
		say(text, bytes, used,
			"Somebody listens there already, or a file is in the way. If the back-end "
			"listens,\nleave --listen away; if a VMM does, the back-end is that VM's.\n");
		break;
	case -ETIMEDOUT:
		if (p->options.listen)
			say(text, bytes, used,
				"Is the back-end configured as a client, with this very path? Some try "
				"again only every\nfew seconds: a longer --timeout may help.\n");
		else
			say(text, bytes, used,
				"Its queue of connections is full: the back-end hangs, or serves one "
				"front-end only.\n");
		break;
	default:
		break;
	}
}

static void advise_silence(const struct probe *p, int err, char *text, size_t bytes, size_t *used)
{
	/* Nothing was offered yet: the very first answer is missing. */
	if (p->session.features_offered != 0) {
		if (err == -ETIMEDOUT)
			say(text, bytes, used,
				"The back-end answered before, and stopped to: it is stuck or its CPU is "
				"taken. A longer\n--timeout shows which; then see its log.\n");
		else
			say(text, bytes, used,
				"The back-end went away or dropped us in the middle of the negotiation: "
				"see its log.\n");
		return;
	}
	if (err == -ECONNRESET)
		say(text, bytes, used,
			"It is in use by another front-end, most likely: a device serves one VM at a "
			"time, and\nturns others away. Otherwise it is no vhost-user back-end; its log "
			"knows.\n");
	else
		say(text, bytes, used,
			"Somebody listens, and does not speak vhost-user to us. Either another front-end "
			"has the\ndevice (a back-end that serves one lets others wait), or the back-end "
			"hangs, or it is\nanother kind of server.\n");
}

static void advise_device(const struct probe *p, int result, char *text, size_t bytes, size_t *used)
{
	const struct vfe_session *s = &p->session;
	uint64_t foreign = device_bits(s->features_offered) & ~(1ull << VIRTIO_RTC_F_ALARM);

	if (result == -ECONNRESET) {
		say(text, bytes, used, "The back-end went away while it was asked: see its log. ");
		return;
	}
	say(text, bytes, used,
		"vhost-user does not say what kind of device this is, and its answer is not that of "
		"an RTC\ndevice. ");
	if (foreign)
		say(text, bytes, used,
			"It offers feature bits that no RTC device has (0x%llx): it is another kind,\n"
			"such as a network or a block device. Which path was given to the RTC "
			"back-end?\n",
			(unsigned long long)foreign);
	else if (result == -ETIMEDOUT)
		say(text, bytes, used,
			"Its feature bits (0x%llx) would fit one. Either it is another kind, or\n"
			"its poller does not run: see its log and its CPU.\n",
			(unsigned long long)s->features_offered);
	else
		say(text, bytes, used,
			"Its feature bits (0x%llx) would fit one, so either it is another kind,\n"
			"or it is a faulty RTC device.\n",
			(unsigned long long)s->features_offered);
}

void probe_advise(const struct probe *p, int result, char *text, size_t text_bytes)
{
	size_t used = 0;

	text[0] = '\0';
	switch (p->step) {
	case PROBE_SETUP:
		break;
	case PROBE_CONNECT:
		advise_socket(p, result, text, text_bytes, &used);
		break;
	case PROBE_NEGOTIATE:
		if (result == -ETIMEDOUT || result == -ECONNRESET)
			advise_silence(p, result, text, text_bytes, &used);
		else if (result == -EPROTO)
			say(text, text_bytes, &used,
				"Whoever listens there does not speak vhost-user. Is it the right path? "
				"A monitor (QMP)\nor a console has its socket often in the same place.\n");
		else if (result == -ENOTSUP)
			say(text, text_bytes, &used,
				"An RTC device is a modern virtio device and must offer VERSION_1: this "
				"is another kind\nof device, or a faulty back-end.\n");
		else if (result == -EREMOTEIO)
			say(text, text_bytes, &used,
				"The back-end speaks vhost-user and turned this message down: see its "
				"log.\n");
		break;
	case PROBE_CFG:
		advise_device(p, result, text, text_bytes, &used);
		break;
	case PROBE_CLOCKS:
	case PROBE_READINGS:
	case PROBE_ROUND_TRIPS:
		if (result == -ETIMEDOUT)
			say(text, text_bytes, &used,
				"The device answered before, and stopped to: its poller is stuck or has "
				"lost its CPU, or\nthe time was too short (--timeout).\n");
		else if (result == -ECONNRESET)
			say(text, text_bytes, &used,
				"The back-end went away while it was asked: see its log.\n");
		else if (result == -EPROTO)
			say(text, text_bytes, &used,
				"The device breaks the specification: a fault of the back-end.\n");
		break;
	case PROBE_ALARM:
		if (result == -ENOTSUP)
			say(text, text_bytes, &used,
				"None of its clocks has an alarm. dpdk-rtc gives one to those whose name "
				"in `clocks` ends\nin +alarm.\n");
		else if (result == -ENODEV)
			say(text, text_bytes, &used, "--alarms shows which clocks have one.\n");
		else if (result == -ETIMEDOUT)
			say(text, text_bytes, &used,
				"The device took the alarm, or was asked to, and nothing came: what fires "
				"its alarms is\nstuck or has lost its CPU, or the time was too short "
				"(--timeout).\n");
		else if (result == -ECONNRESET)
			say(text, text_bytes, &used,
				"The back-end went away while it was asked: see its log.\n");
		else if (result == -EPROTO)
			say(text, text_bytes, &used,
				"The device breaks the specification: a fault of the back-end.\n");
		break;
	}
}
