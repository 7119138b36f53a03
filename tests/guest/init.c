/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole userland of the test guest: process 1, static. The initramfs has busybox beside it, and
 * more where the host appends an archive: see step_run().
 *
 * It is a list of steps, each of which asks the kernel's virtio_rtc driver for something and
 * reports what it saw as `key=value` lines, one fact a line. It judges nothing: the host knows what
 * is right (it has the clocks to compare with) and does the asserting.
 *
 * Steps come from the kernel command line, `plan=load,probe,read:0,poweroff`. The step `host` takes
 * further ones from the host, a line each, until the line `end`; so the host can act (kill the
 * back-end, pull the device) between two steps. Each step ends with `done=STEP` or with
 * `failed=STEP: why`, and the next one is begun either way.
 *
 * Facts and host lines travel over the second serial port, so that they are never torn by the
 * kernel's messages, which go to the first one.
 *
 * The readings that the host compares with its own clocks are taken behind a barrier: the guest
 * writes `begin=STEP` and waits for the line `go`. The host notes its clocks before it sends `go`
 * and after it got the reading, and the reading must lie between the two.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <sys/io.h>
#endif
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <linux/ptp_clock.h>
#include <linux/rtc.h>

#include "pairs.h"
#include "vdso_clock.h"

#ifdef __x86_64__
#define LINE_PORT "/dev/ttyS1"
#else
#define LINE_PORT "/dev/ttyS0" /* the console is a port of another kind, ttyAMA0 */
#endif
#define MODULE       "virtio_rtc"
#define DRIVER_DIR   "/sys/bus/virtio/drivers/virtio_rtc"
#define NS_PER_S     1000000000LL
#define HOST_WAIT_MS (300 * 1000)
#define MAX_SERIES   1000000
#define MAX_DEVICES  8

/* The serial line to the host. */
static int line_fd = -1;

/* Why the current step failed; empty while it did not. */
static char failure[256];

__attribute__((format(printf, 1, 2))) static void fact(const char *format, ...)
{
	char text[1024];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text, sizeof(text) - 1, format, args);
	va_end(args);
	if (length < 0)
		return;
	if (length > (int)sizeof(text) - 2)
		length = (int)sizeof(text) - 2;
	text[length++] = '\n';
	for (int written = 0; written < length;) {
		ssize_t n = write(line_fd, text + written, (size_t)(length - written));

		if (n > 0)
			written += (int)n;
		else if (errno != EINTR && errno != EAGAIN)
			return;
	}
}

/* Notes why the step failed; the first reason is the one that counts. */
__attribute__((format(printf, 1, 2))) static void fail(const char *format, ...)
{
	va_list args;

	if (failure[0])
		return;
	va_start(args, format);
	vsnprintf(failure, sizeof(failure), format, args);
	va_end(args);
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return -1;
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void sleep_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* A line from the host, without its end; false if none came in time. */
static bool host_line(char *text, size_t size)
{
	int64_t deadline_ns = now_ns(CLOCK_MONOTONIC) + HOST_WAIT_MS * 1000000LL;
	size_t length = 0;

	for (;;) {
		struct pollfd p = {.fd = line_fd, .events = POLLIN};
		int64_t left_ms = (deadline_ns - now_ns(CLOCK_MONOTONIC)) / 1000000;
		char c;

		if (left_ms <= 0 || poll(&p, 1, (int)left_ms) <= 0)
			return false;
		if (read(line_fd, &c, 1) != 1)
			return false;
		if (c == '\n')
			break;
		if (c != '\r' && length < size - 1)
			text[length++] = c;
	}
	text[length] = '\0';
	return true;
}

/* The barrier: see the head of this file. */
static bool wait_for_go(const char *step)
{
	char text[64];

	fact("begin=%s", step);
	if (!host_line(text, sizeof(text))) {
		fail("the host sent no go");
		return false;
	}
	if (strcmp(text, "go") != 0) {
		fail("the host sent '%s' for go", text);
		return false;
	}
	return true;
}

/* The first line of a small file, without its end; false if it cannot be read. */
static bool read_line(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return false;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

/*
 * Where the `device` link of a class device leads: "virtio2", "rtc_cmos"; false if it has none.
 * An rtc or a PHC that is not of a virtio device is no business of these tests.
 */
static bool parent_device(const char *class, const char *name, char *text, size_t size)
{
	char path[512], target[512];
	const char *last;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/class/%s/%s/device", class, name);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	last = strrchr(target, '/');
	snprintf(text, size, "%.63s", last ? last + 1 : target);
	return true;
}

static bool is_virtio(const char *class, const char *name)
{
	char parent[64];

	return parent_device(class, name, parent, sizeof(parent)) &&
	       strncmp(parent, "virtio", 6) == 0;
}

/* How many PHCs of virtio devices there are. */
static int count_phcs(void)
{
	DIR *dir = opendir("/sys/class/ptp");
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && is_virtio("ptp", entry->d_name))
			count++;
	closedir(dir);
	return count;
}

/* --- Steps about the driver ------------------------------------------------------------------ */

/*
 * A module's parameters, as modprobe finds them: each `NAME.parameter=value` of the kernel's
 * command line. QEMU puts the addresses of microvm's virtio-mmio devices there.
 */
static void module_parameters(const char *name, char *text, size_t size)
{
	char line[4096], prefix[64], *save, *word;
	size_t used = 0;

	text[0] = '\0';
	if (!read_line("/proc/cmdline", line, sizeof(line)))
		return;
	snprintf(prefix, sizeof(prefix), "%s.", name);
	for (word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (strncmp(word, prefix, strlen(prefix)) != 0)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s ", word + strlen(prefix));
		if (used >= size) {
			fail("too many parameters of %s", name);
			return;
		}
	}
}

static void step_load(const char *name)
{
	int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
	char path[128], parameters[1024];
	int fd;

	snprintf(path, sizeof(path), "/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fail("open %s: %s", path, strerror(errno));
		return;
	}
	module_parameters(name, parameters, sizeof(parameters));
	if (syscall(SYS_finit_module, fd, parameters, 0))
		fail("insert %s: %s", path, strerror(errno));
	close(fd);
	fact("load.%s.us=%lld", name, (long long)(now_ns(CLOCK_MONOTONIC) - begin_ns) / 1000);
}

static void step_unload(const char *name)
{
	if (syscall(SYS_delete_module, name, O_NONBLOCK))
		fail("remove %s: %s", name, strerror(errno));
}

/* What the kernel made of the device: every rtc and every PHC, whoever they belong to. */
static void list_class(const char *class, const char *attribute)
{
	char path[512], text[256], parent[64];
	struct dirent **entries;
	int count;

	snprintf(path, sizeof(path), "/sys/class/%s", class);
	count = scandir(path, &entries, NULL, versionsort);
	if (count < 0) {
		fail("list %s: %s", path, strerror(errno));
		return;
	}
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		struct stat st;

		if (name[0] != '.') {
			snprintf(path, sizeof(path), "/sys/class/%s/%s/%s", class, name, attribute);
			if (read_line(path, text, sizeof(text)))
				fact("%s.name=%s", name, text);
			if (parent_device(class, name, parent, sizeof(parent)))
				fact("%s.device=%s", name, parent);
			snprintf(path, sizeof(path), "/dev/%s", name);
			fact("%s.node=%s", name,
				stat(path, &st) == 0 && S_ISCHR(st.st_mode) ? path : "none");
		}
		free(entries[i]);
	}
	free(entries);
}

static void step_probe(void)
{
	DIR *dir;
	struct dirent *entry;

	list_class("rtc", "name");
	list_class("ptp", "clock_name");
	fact("phcs=%d", count_phcs());
	/* The bound devices, with the features that were negotiated: a string of 0 and 1. */
	dir = opendir(DRIVER_DIR);
	while (dir && (entry = readdir(dir))) {
		char path[512], bits[128];

		if (strncmp(entry->d_name, "virtio", 6) != 0)
			continue;
		snprintf(path, sizeof(path), DRIVER_DIR "/%s/features", entry->d_name);
		if (read_line(path, bits, sizeof(bits)))
			fact("%s.features=%s", entry->d_name, bits);
	}
	if (dir)
		closedir(dir);
}

/* The kernel's own words about the device. */
static void step_kmsg(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[8192];
	ssize_t n;

	if (fd < 0) {
		fail("open /dev/kmsg: %s", strerror(errno));
		return;
	}
	/* EPIPE: older records were overwritten while we read; the next read goes on. */
	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		char *text;

		if (n < 0)
			continue;
		record[n] = '\0';
		text = strchr(record, ';');
		if (!text)
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (strstr(text, "virtio_rtc") || strstr(text, "Virtio PTP") ||
			strstr(text, "viortc") || strstr(text, "WARNING:") || strstr(text, "BUG:"))
			fact("kmsg=%s", text + 1);
	}
	close(fd);
}

/* The devices bound to the driver now. */
static int bound_devices(char names[][64])
{
	DIR *dir = opendir(DRIVER_DIR);
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return 0;
	while (count < MAX_DEVICES && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "virtio", 6) == 0)
			snprintf(names[count++], 64, "%.63s", entry->d_name);
	closedir(dir);
	return count;
}

/* Takes the driver off its devices and puts it back, `count` times. */
static void step_rebind(long count)
{
	char names[MAX_DEVICES][64];
	int devices = bound_devices(names), phcs = count_phcs();
	long done = 0;

	if (!devices) {
		fail("no device is bound");
		return;
	}
	for (; done < count && !failure[0]; done++) {
		for (int i = 0; i < devices; i++)
			if (!write_text(DRIVER_DIR "/unbind", names[i]))
				fail("unbind %s, time %ld: %s", names[i], done + 1,
					strerror(errno));
		if (!failure[0] && count_phcs())
			fail("unbound, time %ld, and %d PHCs are still there", done + 1,
				count_phcs());
		for (int i = 0; i < devices; i++)
			if (!write_text(DRIVER_DIR "/bind", names[i]))
				fail("bind %s, time %ld: %s", names[i], done + 1, strerror(errno));
		if (!failure[0] && count_phcs() != phcs)
			fail("bound again, time %ld: %d PHCs, %d before", done + 1, count_phcs(),
				phcs);
	}
	fact("rebind.count=%ld", done);
}

/* Waits until there are `count` PHCs: hot-plug is not immediate. */
static void step_await(long count, long seconds)
{
	int64_t begin_ns = now_ns(CLOCK_MONOTONIC);

	while (count_phcs() != count) {
		if (now_ns(CLOCK_MONOTONIC) - begin_ns > seconds * NS_PER_S) {
			fail("%d PHCs after %ld s, not %ld", count_phcs(), seconds, count);
			break;
		}
		sleep_ms(5);
	}
	fact("await.us=%lld", (long long)(now_ns(CLOCK_MONOTONIC) - begin_ns) / 1000);
}

/*
 * Waits until the kernel keeps its time by the counter `name`: with the TSC a second or two after
 * the boot only, and until then no cross-timestamp can be had.
 */
static void step_clocksource(const char *name, long seconds)
{
	static const char path[] =
		"/sys/devices/system/clocksource/clocksource0/current_clocksource";
	int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
	char now[64];

	for (;;) {
		if (!read_line(path, now, sizeof(now)))
			snprintf(now, sizeof(now), "unknown");
		if (strcmp(now, name) == 0)
			break;
		if (now_ns(CLOCK_MONOTONIC) - begin_ns > seconds * NS_PER_S) {
			fail("after %ld s the clocksource is %s, not %s", seconds, now, name);
			return;
		}
		sleep_ms(5);
	}
	fact("clocksource.us=%lld", (long long)(now_ns(CLOCK_MONOTONIC) - begin_ns) / 1000);
}

/* --- Steps about the clocks ------------------------------------------------------------------ */

static int open_phc(long index)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/ptp%ld", index);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("open %s: %s", path, strerror(errno));
	return fd;
}

/* A clock of the kernel that is a file: its number is made of the descriptor (clock_gettime(2)). */
static clockid_t phc_clock(int fd)
{
	return (clockid_t)(~(unsigned int)fd << 3 | 3);
}

static void step_read(const char *step, long index)
{
	int fd = open_phc(index);
	struct timespec ts;

	if (fd < 0)
		return;
	if (wait_for_go(step)) {
		if (clock_gettime(phc_clock(fd), &ts))
			fail("clock_gettime: %s", strerror(errno));
		else
			fact("ptp%ld.ns=%lld", index, (long long)ts.tv_sec * NS_PER_S + ts.tv_nsec);
	}
	close(fd);
}

/* The guest's own clocks: what somebody has made of what the device says. */
static void step_clock(const char *step)
{
	int64_t utc_ns, tai_ns;

	if (!wait_for_go(step))
		return;
	utc_ns = now_ns(CLOCK_REALTIME);
	tai_ns = now_ns(CLOCK_TAI);
	fact("clock.ns=%lld", (long long)utc_ns);
	fact("clock.tai_utc_s=%lld", (long long)((tai_ns - utc_ns) / NS_PER_S));
}

static int64_t ptp_time_ns(const struct ptp_clock_time *t)
{
	return t->sec * NS_PER_S + t->nsec;
}

/*
 * PTP_SYS_OFFSET_EXTENDED, 25 samples: what chrony and phc2sys use. Reports the shortest and the
 * mean time a reading took, and the offset from the guest's own clock of the shortest.
 */
static void step_offset(const char *step, long index)
{
	struct ptp_sys_offset_extended request = {.n_samples = PTP_MAX_SAMPLES};
	int64_t delay_ns, sum_ns = 0, min_ns = INT64_MAX, offset_ns = 0, last_ns = INT64_MIN;
	int backward = 0;
	int fd = open_phc(index);

	if (fd < 0)
		return;
	if (!wait_for_go(step))
		goto out;
	if (ioctl(fd, PTP_SYS_OFFSET_EXTENDED2, &request)) {
		fail("PTP_SYS_OFFSET_EXTENDED: %s", strerror(errno));
		goto out;
	}
	for (unsigned int i = 0; i < request.n_samples; i++) {
		int64_t before_ns = ptp_time_ns(&request.ts[i][0]);
		int64_t phc_ns = ptp_time_ns(&request.ts[i][1]);
		int64_t after_ns = ptp_time_ns(&request.ts[i][2]);

		delay_ns = after_ns - before_ns;
		sum_ns += delay_ns;
		if (delay_ns < min_ns) {
			min_ns = delay_ns;
			offset_ns = phc_ns - (before_ns + delay_ns / 2);
		}
		backward += phc_ns < last_ns;
		last_ns = phc_ns;
	}
	fact("ptp%ld.first_ns=%lld", index, (long long)ptp_time_ns(&request.ts[0][1]));
	fact("ptp%ld.last_ns=%lld", index, (long long)last_ns);
	fact("ptp%ld.samples=%u", index, request.n_samples);
	fact("ptp%ld.backward=%d", index, backward);
	fact("ptp%ld.delay_min_ns=%lld", index, (long long)min_ns);
	fact("ptp%ld.delay_mean_ns=%lld", index, (long long)sum_ns / request.n_samples);
	fact("ptp%ld.offset_ns=%lld", index, (long long)offset_ns);
out:
	close(fd);
}

static int compare_i64(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* `count` readings one after another: does the clock ever go back, and how long does one take? */
static void step_series(const char *step, long index, long count)
{
	int64_t *delays_ns, sum_ns = 0, last_ns = INT64_MIN, first_ns = 0;
	long backward = 0, same = 0, done = 0;
	int fd;

	if (count < 1 || count > MAX_SERIES) {
		fail("%ld readings are not 1 to %d", count, MAX_SERIES);
		return;
	}
	fd = open_phc(index);
	if (fd < 0)
		return;
	delays_ns = calloc((size_t)count, sizeof(*delays_ns));
	if (!delays_ns) {
		fail("no memory for %ld readings", count);
		goto out;
	}
	if (!wait_for_go(step))
		goto out;
	for (; done < count; done++) {
		int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
		int64_t phc_ns = now_ns(phc_clock(fd));

		if (phc_ns < 0) {
			fail("reading %ld of %ld: %s", done + 1, count, strerror(errno));
			goto out;
		}
		delays_ns[done] = now_ns(CLOCK_MONOTONIC) - begin_ns;
		sum_ns += delays_ns[done];
		backward += phc_ns < last_ns;
		same += phc_ns == last_ns;
		last_ns = phc_ns;
		if (!done)
			first_ns = phc_ns;
	}
	/* At once: the host notes its clocks at the first fact. */
	fact("ptp%ld.first_ns=%lld", index, (long long)first_ns);
	fact("ptp%ld.last_ns=%lld", index, (long long)last_ns);
	fact("ptp%ld.readings=%ld", index, done);
	qsort(delays_ns, (size_t)count, sizeof(*delays_ns), compare_i64);
	fact("ptp%ld.backward=%ld", index, backward);
	fact("ptp%ld.same=%ld", index, same);
	fact("ptp%ld.delay_min_ns=%lld", index, (long long)delays_ns[0]);
	fact("ptp%ld.delay_mean_ns=%lld", index, (long long)(sum_ns / count));
	fact("ptp%ld.delay_p50_ns=%lld", index, (long long)delays_ns[count / 2]);
	fact("ptp%ld.delay_p99_ns=%lld", index, (long long)delays_ns[count - 1 - count / 100]);
	fact("ptp%ld.delay_max_ns=%lld", index, (long long)delays_ns[count - 1]);
out:
	free(delays_ns);
	close(fd);
}

/*
 * Readings for a while, one every 5 ms, while the host does something to another guest: how many
 * were answered, and the longest silence between two answers.
 */
static void step_follow(const char *step, long index, long ms)
{
	int64_t end_ns, last_answer_ns, longest_ns = 0, last_ns = INT64_MIN;
	long readings = 0, errors = 0, backward = 0;
	int fd = open_phc(index);

	if (fd < 0)
		return;
	if (!wait_for_go(step)) {
		close(fd);
		return;
	}
	last_answer_ns = now_ns(CLOCK_MONOTONIC);
	end_ns = last_answer_ns + ms * 1000000LL;
	while (last_answer_ns < end_ns) {
		int64_t phc_ns = now_ns(phc_clock(fd));
		int64_t answer_ns = now_ns(CLOCK_MONOTONIC);

		if (phc_ns < 0) {
			errors++;
		} else {
			readings++;
			backward += phc_ns < last_ns;
			last_ns = phc_ns;
		}
		if (answer_ns - last_answer_ns > longest_ns)
			longest_ns = answer_ns - last_answer_ns;
		last_answer_ns = answer_ns;
		sleep_ms(5);
	}
	fact("ptp%ld.readings=%ld", index, readings);
	fact("ptp%ld.errors=%ld", index, errors);
	fact("ptp%ld.backward=%ld", index, backward);
	fact("ptp%ld.longest_us=%lld", index, (long long)longest_ns / 1000);
	close(fd);
}

/*
 * One reading by a child, which may hang in the driver (a dead back-end: up to 60 s); after so many
 * seconds the guest says whether it was answered and goes on.
 */
static void step_try(long index, long seconds)
{
	int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
	int status = 0;
	pid_t child = fork();

	if (child < 0) {
		fail("fork: %s", strerror(errno));
		return;
	}
	if (!child) {
		int fd = open_phc(index);

		_exit(fd >= 0 && now_ns(phc_clock(fd)) >= 0 ? 0 : errno ? errno : 255);
	}
	while (waitpid(child, &status, WNOHANG) == 0) {
		if (now_ns(CLOCK_MONOTONIC) - begin_ns > seconds * NS_PER_S) {
			/* It is ended when the driver lets it go, and reaped with the machine. */
			kill(child, SIGKILL);
			fact("ptp%ld.answer=none", index);
			return;
		}
		sleep_ms(5);
	}
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		fact("ptp%ld.answer=reading", index);
	else if (WIFEXITED(status))
		fact("ptp%ld.answer=%s", index, strerror(WEXITSTATUS(status)));
	else
		fail("the reading child was killed by signal %d", WTERMSIG(status));
}

/* --- Steps about cross-timestamps ------------------------------------------------------------ */

/* Offsets of a clock from one of the guest's, as ns behind the first of either. */
struct offsets {
	const char *name;
	double *at_ns;
	double *offset_ns;
	int64_t first_at_ns;
	int64_t first_offset_ns;
	long n;
};

static bool offsets_begin(struct offsets *o, const char *name, long count)
{
	*o = (struct offsets){.name = name};
	if (count < 1 || count > MAX_SERIES) {
		fail("%ld readings are not 1 to %d", count, MAX_SERIES);
		return false;
	}
	o->at_ns = calloc((size_t)count, sizeof(*o->at_ns));
	o->offset_ns = calloc((size_t)count, sizeof(*o->offset_ns));
	if (!o->at_ns || !o->offset_ns)
		fail("no memory for %ld readings", count);
	return o->at_ns && o->offset_ns;
}

static void offsets_end(struct offsets *o)
{
	free(o->at_ns);
	free(o->offset_ns);
}

static void offsets_add(struct offsets *o, int64_t clock_ns, int64_t guest_ns)
{
	if (!o->n) {
		o->first_at_ns = guest_ns;
		o->first_offset_ns = clock_ns - guest_ns;
	}
	o->at_ns[o->n] = (double)(guest_ns - o->first_at_ns);
	o->offset_ns[o->n++] = (double)(clock_ns - guest_ns - o->first_offset_ns);
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Heron's way; this program has no libm. */
static double square_root(double x)
{
	double root = x > 1 ? x : 1;

	for (int i = 0; i < 200; i++)
		root = (root + x / root) / 2;
	return root;
}

/*
 * What the offsets are, and how far they are from a straight line through all of them: two clocks
 * that are both even and differ in speed are no reason for a spread.
 */
static void offsets_report(struct offsets *o, long index)
{
	double mean_at = 0, mean = 0, xx = 0, xy = 0, square = 0, slope;

	if (o->n < 2)
		return;
	for (long i = 0; i < o->n; i++) {
		mean_at += o->at_ns[i] / (double)o->n;
		mean += o->offset_ns[i] / (double)o->n;
	}
	for (long i = 0; i < o->n; i++) {
		double x = o->at_ns[i] - mean_at;

		xx += x * x;
		xy += x * (o->offset_ns[i] - mean);
	}
	slope = xx > 0 ? xy / xx : 0;
	fact("ptp%ld.%s.ppb=%.3f", index, o->name, slope * 1e9);
	/* The distances from the line take the place of the times. */
	for (long i = 0; i < o->n; i++) {
		double away = o->offset_ns[i] - mean - slope * (o->at_ns[i] - mean_at);

		square += away * away / (double)o->n;
		o->at_ns[i] = away < 0 ? -away : away;
	}
	qsort(o->at_ns, (size_t)o->n, sizeof(*o->at_ns), compare_double);
	qsort(o->offset_ns, (size_t)o->n, sizeof(*o->offset_ns), compare_double);
	fact("ptp%ld.%s.min_ns=%lld", index, o->name,
		(long long)o->first_offset_ns + (long long)o->offset_ns[0]);
	fact("ptp%ld.%s.median_ns=%lld", index, o->name,
		(long long)o->first_offset_ns + (long long)o->offset_ns[o->n / 2]);
	fact("ptp%ld.%s.max_ns=%lld", index, o->name,
		(long long)o->first_offset_ns + (long long)o->offset_ns[o->n - 1]);
	fact("ptp%ld.%s.stddev_ns=%.2f", index, o->name, square_root(square));
	fact("ptp%ld.%s.p99_ns=%.2f", index, o->name, o->at_ns[o->n - 1 - o->n / 100]);
	fact("ptp%ld.%s.widest_ns=%.2f", index, o->name, o->at_ns[o->n - 1]);
}

/* PTP_SYS_OFFSET_PRECISE, so many times; what it fails with, how often. */
static void make_pairs(int fd, long index, long count, struct offsets *real, struct offsets *raw)
{
	enum { ERRORS = 200 };
	static long failed[ERRORS];
	int64_t last_ns = INT64_MIN, begin_ns = now_ns(CLOCK_MONOTONIC);
	long backward = 0;

	memset(failed, 0, sizeof(failed));
	for (long i = 0; i < count; i++) {
		struct ptp_sys_offset_precise request = {0};
		int64_t device_ns;

		if (ioctl(fd, PTP_SYS_OFFSET_PRECISE2, &request)) {
			failed[errno < ERRORS ? errno : 0]++;
			continue;
		}
		device_ns = ptp_time_ns(&request.device);
		if (!real->n)
			fact("ptp%ld.precise=%lld", index, (long long)device_ns);
		backward += device_ns < last_ns;
		last_ns = device_ns;
		offsets_add(real, device_ns, ptp_time_ns(&request.sys_realtime));
		offsets_add(raw, device_ns, ptp_time_ns(&request.sys_monoraw));
	}
	fact("ptp%ld.mean_us=%.1f", index,
		(double)(now_ns(CLOCK_MONOTONIC) - begin_ns) / 1e3 / (double)count);
	fact("ptp%ld.pairs=%ld", index, real->n);
	fact("ptp%ld.refused=%ld", index, count - real->n);
	fact("ptp%ld.backward=%ld", index, backward);
	for (int e = 0; e < ERRORS; e++) {
		if (!failed[e])
			continue;
		if (!real->n)
			fact("ptp%ld.precise=%s", index, strerrorname_np(e));
		fact("ptp%ld.refused.%s=%ld", index, strerrorname_np(e), failed[e]);
	}
}

/* Cross-timestamps: does the clock have them, and how even are they? */
static void step_precise(long index, long count)
{
	struct ptp_clock_caps caps = {0};
	struct offsets real = {0}, raw = {0};
	int fd = open_phc(index);

	if (fd < 0)
		return;
	if (ioctl(fd, PTP_CLOCK_GETCAPS2, &caps))
		fail("PTP_CLOCK_GETCAPS: %s", strerror(errno));
	else
		fact("ptp%ld.cross_timestamping=%d", index, caps.cross_timestamping);
	if (count < 1)
		count = 1;
	if (offsets_begin(&real, "realtime", count) && offsets_begin(&raw, "raw", count)) {
		make_pairs(fd, index, count, &real, &raw);
		offsets_report(&real, index);
		offsets_report(&raw, index);
	}
	offsets_end(&real);
	offsets_end(&raw);
	close(fd);
}

/*
 * The same clock without: PTP_SYS_OFFSET_EXTENDED, by the middle of each reading, beside the
 * guest's CLOCK_REALTIME.
 */
static void step_extended(long index, long count)
{
	struct offsets real;
	int fd = open_phc(index);

	if (fd < 0)
		return;
	if (!offsets_begin(&real, "realtime", count))
		count = 0;
	while (real.n < count) {
		long left = count - real.n;
		struct ptp_sys_offset_extended request = {
			.n_samples = left < PTP_MAX_SAMPLES ? (unsigned int)left : PTP_MAX_SAMPLES};

		if (ioctl(fd, PTP_SYS_OFFSET_EXTENDED2, &request)) {
			fail("PTP_SYS_OFFSET_EXTENDED: %s", strerror(errno));
			break;
		}
		for (unsigned int i = 0; i < request.n_samples; i++) {
			int64_t before_ns = ptp_time_ns(&request.ts[i][0]);
			int64_t after_ns = ptp_time_ns(&request.ts[i][2]);

			offsets_add(&real, ptp_time_ns(&request.ts[i][1]),
				before_ns + (after_ns - before_ns) / 2);
		}
	}
	fact("ptp%ld.readings=%ld", index, real.n);
	offsets_report(&real, index);
	offsets_end(&real);
	close(fd);
}

/* A page that the host can find: never written back to the kernel, so that it stays where it is. */
static struct pairs_page *pairs_pages(uint64_t run, long count)
{
	struct pairs_page *page = mmap(NULL, (size_t)count * PAIRS_PAGE_BYTES,
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (page == MAP_FAILED) {
		fail("no memory for %ld pages", count);
		return NULL;
	}
	for (long i = 0; i < count; i++) {
		page[i].index = (uint32_t)i;
		page[i].run = run;
		page[i].magic = PAIRS_MAGIC ^ run;
	}
	return page;
}

/*
 * Cross-timestamps for the host to judge. The ioctl tells CLOCK_MONOTONIC_RAW and not the counter;
 * what the counter was follows, since that clock is a line of it that never changes.
 */
static void step_pairs(long index, long count)
{
	uint64_t run = vdso_count_now();
	struct vdso_line line = {0}, line_after = {0};
	struct pairs_page *page;
	struct vdso_clock raw;
	long n = 0, pages = (count + PAIRS_ON_PAGE - 1) / PAIRS_ON_PAGE;
	int fd = open_phc(index);

	if (fd < 0)
		return;
	if (count < 1 || count > MAX_SERIES)
		fail("%ld pairs are not 1 to %d", count, MAX_SERIES);
	else if (!vdso_clock_find(&raw, CLOCK_MONOTONIC_RAW) || !vdso_clock_line(&raw, &line))
		fail("the kernel's page of clocks is not as expected: see vdso_clock.h");
	page = failure[0] ? NULL : pairs_pages(run, pages);
	if (!page) {
		close(fd);
		return;
	}
	for (long i = 0; i < count; i++) {
		struct ptp_sys_offset_precise request = {0};
		struct pairs_page *to = &page[n / PAIRS_ON_PAGE];

		if (ioctl(fd, PTP_SYS_OFFSET_PRECISE2, &request))
			continue;
		to->pair[to->n++] = (struct pairs_pair){
			.count = vdso_line_count(&line, ptp_time_ns(&request.sys_monoraw)),
			.device_ns = ptp_time_ns(&request.device)};
		n++;
	}
	if (!vdso_clock_holds(&raw) || !vdso_clock_line(&raw, &line_after))
		fail("CLOCK_MONOTONIC_RAW is no line any more");
	fact("pairs.run=%llu", (unsigned long long)run);
	fact("pairs.made=%ld", n);
	fact("pairs.refused=%ld", count - n);
	fact("pairs.pages=%ld", pages);
	/* What the line says of now, by its beginning and by its end. */
	fact("pairs.line_off_ns=%lld",
		(long long)(vdso_line_ns(&line, line_after.count_base) -
			    vdso_line_ns(&line_after, line_after.count_base)));
	fact("pairs.counts_per_us=%.6f",
		1e3 * (double)((uint64_t)1 << line.shift) / (double)line.mult);
	close(fd);
	/* Left where it is until the machine ends, for the host to read. */
}

/* Tells the host its counter whenever that asks, until it asks no more; for so long at most. */
static void step_meet(long ms)
{
	int64_t end_ns = now_ns(CLOCK_MONOTONIC) + ms * 1000000LL;
	uint64_t run = vdso_count_now(), answered = 0, answers = 0;
	struct pairs_page *page = pairs_pages(run, 1);

	if (!page)
		return;
	page->index = PAIRS_MEETING;
	fact("meet.run=%llu", (unsigned long long)run);
	while (answered != PAIRS_MEETING_END && now_ns(CLOCK_MONOTONIC) < end_ns) {
		for (int i = 0; i < 10000; i++) {
			uint64_t ask = __atomic_load_n(&page->meeting.ask, __ATOMIC_ACQUIRE);

			if (ask == answered)
				continue;
			if (ask == PAIRS_MEETING_END) {
				answered = ask;
				break;
			}
			answers++;
			/*
			 * An emulated fence is none of the host's CPU, which would read its counter
			 * while the load above is under way: 110 ns before we were asked, it was
			 * seen. It cannot be further ahead than what it has in flight, some 500
			 * operations.
			 */
			for (int k = 0; k < 300; k++)
				__asm__ volatile("" : : : "memory");
			page->meeting.count = vdso_count_now();
			__atomic_store_n(&page->meeting.answer, ask, __ATOMIC_RELEASE);
			answered = ask;
		}
	}
	fact("meet.answers=%llu", (unsigned long long)answers);
	munmap(page, PAIRS_PAGE_BYTES);
}

/* What of the virtio devices interrupts this machine: a line each, "25: 1311 PCI-MSIX-... name". */
static void step_interrupts(void)
{
	FILE *file = fopen("/proc/interrupts", "re");
	char line[512];

	if (!file) {
		fail("open /proc/interrupts: %s", strerror(errno));
		return;
	}
	while (fgets(line, sizeof(line), file)) {
		size_t to = 0;

		if (!strstr(line, "virtio"))
			continue;
		for (size_t from = 0; line[from] && line[from] != '\n'; from++)
			if (line[from] != ' ' || (to && line[to - 1] != ' '))
				line[to++] = line[from];
		line[to] = '\0';
		fact("interrupt=%s", line);
	}
	fclose(file);
}

/* The first rtc of a virtio device, opened, with its name ("rtc0"). */
static int open_rtc(char *name, size_t size)
{
	struct dirent **entries;
	int count = scandir("/sys/class/rtc", &entries, NULL, versionsort);
	char path[64];
	int fd;

	name[0] = '\0';
	for (int i = 0; i < count; i++) {
		if (!name[0] && entries[i]->d_name[0] != '.' &&
			is_virtio("rtc", entries[i]->d_name))
			snprintf(name, size, "%.15s", entries[i]->d_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	if (!name[0]) {
		fail("no rtc of a virtio device");
		return -1;
	}
	snprintf(path, sizeof(path), "/dev/%.15s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("open %s: %s", path, strerror(errno));
	return fd;
}

static time_t rtc_seconds(const struct rtc_time *t)
{
	struct tm tm = {
		.tm_sec = t->tm_sec,
		.tm_min = t->tm_min,
		.tm_hour = t->tm_hour,
		.tm_mday = t->tm_mday,
		.tm_mon = t->tm_mon,
		.tm_year = t->tm_year,
	};

	return timegm(&tm);
}

/* What hwclock does, and whether the rtc has an alarm. */
static void step_rtc(const char *step)
{
	struct rtc_wkalrm alarm = {0};
	struct rtc_time t;
	char name[16];
	int fd = open_rtc(name, sizeof(name));

	if (fd < 0)
		return;
	if (wait_for_go(step)) {
		if (ioctl(fd, RTC_RD_TIME, &t))
			fail("RTC_RD_TIME: %s", strerror(errno));
		else
			fact("%s.s=%lld", name, (long long)rtc_seconds(&t));
	}
	if (ioctl(fd, RTC_WKALM_RD, &alarm))
		fact("%s.alarm=%s", name, strerror(errno));
	else
		fact("%s.alarm=%s", name, alarm.enabled ? "enabled" : "disabled");
	close(fd);
}

/*
 * The rtc that an alarm is waited for on. It is opened before the alarm can come, since what came
 * before is not told to who opens it later.
 */
static int alarm_fd = -1;

static struct rtc_time rtc_time_of(time_t seconds)
{
	struct tm tm;

	gmtime_r(&seconds, &tm);
	return (struct rtc_time){.tm_sec = tm.tm_sec,
		.tm_min = tm.tm_min,
		.tm_hour = tm.tm_hour,
		.tm_mday = tm.tm_mday,
		.tm_mon = tm.tm_mon,
		.tm_year = tm.tm_year};
}

static bool read_rtc(int fd, time_t *seconds)
{
	struct rtc_time now;

	if (ioctl(fd, RTC_RD_TIME, &now)) {
		fail("RTC_RD_TIME: %s", strerror(errno));
		return false;
	}
	*seconds = rtc_seconds(&now);
	return true;
}

/* Opens the rtc for step_wait(), if it is not open. */
static bool hold_rtc(void)
{
	char name[16];

	if (alarm_fd < 0)
		alarm_fd = open_rtc(name, sizeof(name));
	return alarm_fd >= 0;
}

static void step_drop(void)
{
	if (alarm_fd >= 0)
		close(alarm_fd);
	alarm_fd = -1;
}

/* Sets the alarm so many seconds ahead, by RTC_WKALM_SET as rtcwake does. */
static void step_arm(long seconds)
{
	struct rtc_wkalrm alarm = {.enabled = 1};
	time_t due;

	if (!hold_rtc() || !read_rtc(alarm_fd, &due))
		return;
	due += seconds;
	alarm.time = rtc_time_of(due);
	if (ioctl(alarm_fd, RTC_WKALM_SET, &alarm))
		fail("RTC_WKALM_SET: %s", strerror(errno));
	fact("alarm.due_s=%lld", (long long)due);
}

static void step_disarm(void)
{
	if (hold_rtc() && ioctl(alarm_fd, RTC_AIE_OFF, 0))
		fail("RTC_AIE_OFF: %s", strerror(errno));
}

/* Waits up to so many seconds for the alarm; reports when it came, by the rtc itself. */
static void step_wait(long seconds)
{
	struct pollfd p = {.fd = alarm_fd, .events = POLLIN};
	unsigned long data;
	time_t now;

	if (alarm_fd < 0) {
		fail("no alarm was set");
		return;
	}
	if (poll(&p, 1, (int)seconds * 1000) != 1) {
		fact("alarm.came_s=0");
		return;
	}
	if (read(alarm_fd, &data, sizeof(data)) < 0)
		fail("read the rtc: %s", strerror(errno));
	if (read_rtc(alarm_fd, &now))
		fact("alarm.came_s=%lld", (long long)now);
}

static void step_alarm(long seconds)
{
	step_arm(seconds);
	if (!failure[0])
		step_wait(seconds + 10);
	step_drop();
}

/* How the alarm stands: RTC_WKALM_RD. */
static void step_read_alarm(void)
{
	struct rtc_wkalrm alarm = {0};

	if (!hold_rtc())
		return;
	if (ioctl(alarm_fd, RTC_WKALM_RD, &alarm))
		fail("RTC_WKALM_RD: %s", strerror(errno));
	else
		fact("alarm.enabled=%d", alarm.enabled);
	fact("alarm.set_s=%lld", (long long)rtc_seconds(&alarm.time));
}

/*
 * The other way of setting an alarm: the time of day alone, and then the interrupt. What is set is
 * read back before it comes.
 */
static void step_alarm_of_day(long seconds)
{
	struct rtc_time alarm, back;
	time_t due;

	if (!hold_rtc() || !read_rtc(alarm_fd, &due))
		return;
	due += seconds;
	alarm = rtc_time_of(due);
	if (ioctl(alarm_fd, RTC_ALM_SET, &alarm))
		fail("RTC_ALM_SET: %s", strerror(errno));
	if (ioctl(alarm_fd, RTC_AIE_ON, 0))
		fail("RTC_AIE_ON: %s", strerror(errno));
	if (ioctl(alarm_fd, RTC_ALM_READ, &back))
		fail("RTC_ALM_READ: %s", strerror(errno));
	else if (back.tm_hour != alarm.tm_hour || back.tm_min != alarm.tm_min ||
		 back.tm_sec != alarm.tm_sec)
		fail("RTC_ALM_READ says %02d:%02d:%02d, not %02d:%02d:%02d", back.tm_hour,
			back.tm_min, back.tm_sec, alarm.tm_hour, alarm.tm_min, alarm.tm_sec);
	fact("alarm.due_s=%lld", (long long)due);
	if (!failure[0])
		step_wait(seconds + 10);
	step_drop();
}

/* The rtc read again and again: how often it went back, and by how much it went on at most. */
static void step_ticks(long seconds)
{
	int64_t end_ns = now_ns(CLOCK_MONOTONIC) + seconds * NS_PER_S;
	long backward = 0, widest_s = 0, readings = 0;
	time_t first, last, now;
	char name[16];
	int fd = open_rtc(name, sizeof(name));

	if (fd < 0)
		return;
	if (read_rtc(fd, &first)) {
		last = first;
		while (now_ns(CLOCK_MONOTONIC) < end_ns && read_rtc(fd, &now)) {
			backward += now < last;
			if (now - last > widest_s)
				widest_s = now - last;
			last = now;
			readings++;
			sleep_ms(11);
		}
		fact("ticks.readings=%ld", readings);
		fact("ticks.backward=%ld", backward);
		fact("ticks.widest_s=%ld", widest_s);
		fact("ticks.passed_s=%lld", (long long)(last - first));
	}
	close(fd);
}

/* Interrupts at each second; Linux makes them of the alarm. */
static void step_updates(long count)
{
	int64_t begin_ns;
	long came = 0;
	char name[16];
	int fd = open_rtc(name, sizeof(name));

	if (fd < 0)
		return;
	if (ioctl(fd, RTC_UIE_ON, 0)) {
		fact("updates=%s", strerror(errno));
		close(fd);
		return;
	}
	begin_ns = now_ns(CLOCK_MONOTONIC);
	for (; came < count; came++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		unsigned long data;

		if (poll(&p, 1, 5000) != 1 || read(fd, &data, sizeof(data)) < 0)
			break;
	}
	if (ioctl(fd, RTC_UIE_OFF, 0))
		fail("RTC_UIE_OFF: %s", strerror(errno));
	fact("updates=%ld", came);
	fact("updates.ms=%lld", (long long)(now_ns(CLOCK_MONOTONIC) - begin_ns) / 1000000);
	close(fd);
}

/* The program of that name, as its author wrote it (busybox's); reports its first line. */
static void step_hwclock(const char *step)
{
	char text[256];
	int status, ends[2];
	ssize_t n;
	pid_t child;

	if (!wait_for_go(step))
		return;
	if (pipe(ends) || (child = fork()) < 0) {
		fail("fork: %s", strerror(errno));
		return;
	}
	if (!child) {
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		execl("/busybox", "hwclock", "-r", "-u", "-f", "/dev/rtc0", NULL);
		_exit(127);
	}
	close(ends[1]);
	n = read(ends[0], text, sizeof(text) - 1);
	close(ends[0]);
	if (waitpid(child, &status, 0) != child || status)
		fail("hwclock ended with status %d", status);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	fact("hwclock=%s", text);
}

/* --- Programs -------------------------------------------------------------------------------- */

static pid_t start_shell(const char *command, int *output_fd)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		int null_fd = open("/dev/null", O_RDONLY);

		setpgid(0, 0);
		dup2(null_fd, STDIN_FILENO);
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		setenv("PATH", "/usr/sbin:/usr/bin:/bin", 1);
		execl("/busybox", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	*output_fd = ends[0];
	return pid;
}

/* Reports what there is to read, line by line; false: the other end is closed. */
static bool report_output(int fd, char *line, size_t size, size_t *length)
{
	char c;
	ssize_t n = read(fd, &c, 1);

	if (n <= 0)
		return false;
	if (c == '\n' || *length == size - 1) {
		line[*length] = '\0';
		fact("run=%s", line);
		*length = 0;
	}
	if (c != '\n')
		line[(*length)++] = c;
	return true;
}

/*
 * "SECONDS:COMMAND LINE": has a shell run it, for so long at most, and reports each line of what it
 * says. What it leaves in the background, with its output elsewhere, goes on.
 */
static void step_run(const char *argument)
{
	char *command;
	long seconds = strtol(argument, &command, 10);
	int64_t until_ns = now_ns(CLOCK_MONOTONIC) + seconds * NS_PER_S;
	char line[512];
	size_t length = 0;
	int status = 0;
	int fd = -1;
	pid_t pid;

	if (*command != ':') {
		fail("run:SECONDS:COMMAND");
		return;
	}
	pid = start_shell(command + 1, &fd);
	if (pid < 0) {
		fail("fork: %s", strerror(errno));
		return;
	}
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left_ms = (until_ns - now_ns(CLOCK_MONOTONIC)) / 1000000;

		if (left_ms <= 0 || poll(&p, 1, (int)left_ms) == 0) {
			kill(-pid, SIGTERM);
			fact("run.ended=%ld", seconds);
			break;
		}
		if (!report_output(fd, line, sizeof(line), &length))
			break;
	}
	close(fd);
	line[length] = '\0';
	if (length)
		fact("run=%s", line);
	waitpid(pid, &status, 0);
	fact("run.status=%d", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* Sleeps as `mem` or `freeze` until something wakes the machine, or fails to sleep. */
static void step_suspend(const char *state)
{
	time_t now;

	if (!hold_rtc())
		return;
	fact("suspending=%s", state);
	tcdrain(line_fd);
	if (!write_text("/sys/power/state", state)) {
		fail("suspend: %s", strerror(errno));
		return;
	}
	if (read_rtc(alarm_fd, &now))
		fact("awake_s=%lld", (long long)now);
}

/* --- Steps about the machine ----------------------------------------------------------------- */

/*
 * Counts the boots of this machine in a byte of the CMOS RAM, which survives a reset and begins as
 * zero in every new QEMU. Only a PC has one; others say -1.
 */
static int count_boot(void)
{
#ifdef __x86_64__
	enum { INDEX_PORT = 0x70, DATA_PORT = 0x71, FREE_BYTE = 0x70 };
	unsigned char count;

	if (ioperm(INDEX_PORT, 2, 1))
		return -1;
	outb(FREE_BYTE, INDEX_PORT);
	count = (unsigned char)(inb(DATA_PORT) + 1);
	outb(FREE_BYTE, INDEX_PORT);
	outb(count, DATA_PORT);
	return count;
#else
	return -1;
#endif
}

static void end_machine(int how)
{
	tcdrain(line_fd);
	sync();
	reboot(how);
	for (;;)
		pause();
}

static void take_host_steps(void);

/* Runs one step, "NAME" or "NAME:ARGUMENT:ARGUMENT". */
static void run_step(const char *step)
{
	char copy[1024], *save, *name, *a, *b;
	long first, second;

	failure[0] = '\0';
	/* A command line has colons of its own. */
	if (strncmp(step, "run:", 4) == 0) {
		step_run(step + 4);
		if (failure[0])
			fact("failed=run: %s", failure);
		else
			fact("done=run");
		return;
	}
	snprintf(copy, sizeof(copy), "%s", step);
	name = strtok_r(copy, ":", &save);
	if (!name)
		return;
	a = strtok_r(NULL, ":", &save);
	b = strtok_r(NULL, ":", &save);
	first = a ? atol(a) : 0;
	second = b ? atol(b) : 0;

	if (strcmp(name, "load") == 0)
		step_load(a ? a : MODULE);
	else if (strcmp(name, "unload") == 0)
		step_unload(a ? a : MODULE);
	else if (strcmp(name, "probe") == 0)
		step_probe();
	else if (strcmp(name, "kmsg") == 0)
		step_kmsg();
	else if (strcmp(name, "rebind") == 0)
		step_rebind(first);
	else if (strcmp(name, "await") == 0)
		step_await(first, second);
	else if (strcmp(name, "clocksource") == 0)
		step_clocksource(a ? a : "tsc", second);
	else if (strcmp(name, "read") == 0)
		step_read(step, first);
	else if (strcmp(name, "clock") == 0)
		step_clock(step);
	else if (strcmp(name, "offset") == 0)
		step_offset(step, first);
	else if (strcmp(name, "series") == 0)
		step_series(step, first, second);
	else if (strcmp(name, "follow") == 0)
		step_follow(step, first, second);
	else if (strcmp(name, "try") == 0)
		step_try(first, second);
	else if (strcmp(name, "precise") == 0)
		step_precise(first, second);
	else if (strcmp(name, "extended") == 0)
		step_extended(first, second);
	else if (strcmp(name, "pairs") == 0)
		step_pairs(first, second);
	else if (strcmp(name, "meet") == 0)
		step_meet(first);
	else if (strcmp(name, "interrupts") == 0)
		step_interrupts();
	else if (strcmp(name, "rtc") == 0)
		step_rtc(step);
	else if (strcmp(name, "alarm") == 0)
		step_alarm(first);
	else if (strcmp(name, "alarm-of-day") == 0)
		step_alarm_of_day(first);
	else if (strcmp(name, "drop") == 0)
		step_drop();
	else if (strcmp(name, "arm") == 0)
		step_arm(first);
	else if (strcmp(name, "disarm") == 0)
		step_disarm();
	else if (strcmp(name, "wait") == 0)
		step_wait(first);
	else if (strcmp(name, "read-alarm") == 0)
		step_read_alarm();
	else if (strcmp(name, "ticks") == 0)
		step_ticks(first);
	else if (strcmp(name, "updates") == 0)
		step_updates(first);
	else if (strcmp(name, "hwclock") == 0)
		step_hwclock(step);
	else if (strcmp(name, "suspend") == 0)
		step_suspend(a ? a : "mem");
	else if (strcmp(name, "ping") == 0)
		fact("pong=%lld", (long long)now_ns(CLOCK_MONOTONIC));
	else if (strcmp(name, "host") == 0)
		take_host_steps();
	else if (strcmp(name, "reboot") == 0)
		end_machine(RB_AUTOBOOT);
	else if (strcmp(name, "poweroff") == 0)
		end_machine(RB_POWER_OFF);
	else
		fail("no such step");

	if (failure[0])
		fact("failed=%s: %s", step, failure);
	else
		fact("done=%s", step);
}

static void take_host_steps(void)
{
	char text[1024];

	fact("ready=host");
	while (host_line(text, sizeof(text)) && strcmp(text, "end") != 0)
		run_step(text);
}

static void open_line(void)
{
	struct termios raw;

	line_fd = open(LINE_PORT, O_RDWR | O_NOCTTY | O_CLOEXEC);
	/* Without a second port the console serves: facts can then be torn by kernel messages. */
	if (line_fd < 0)
		line_fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (line_fd >= 0 && tcgetattr(line_fd, &raw) == 0) {
		cfmakeraw(&raw);
		cfsetspeed(&raw, B115200);
		tcsetattr(line_fd, TCSANOW, &raw);
	}
}

/* The value of `plan=` on the kernel's command line. */
static bool find_plan(char *plan, size_t size)
{
	char text[4096];
	const char *found;

	if (!read_line("/proc/cmdline", text, sizeof(text)))
		return false;
	found = strstr(text, "plan=");
	if (!found)
		return false;
	found += strlen("plan=");
	snprintf(plan, size, "%.*s", (int)strcspn(found, " "), found);
	return true;
}

int main(void)
{
	char plan[2048] = "", *save, *step;
	struct utsname kernel;

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) ||
		mount("proc", "/proc", "proc", 0, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL))
		end_machine(RB_POWER_OFF);
	open_line();
	uname(&kernel);
	fact("kernel=%s", kernel.release);
	fact("boot=%d", count_boot());
	if (!find_plan(plan, sizeof(plan)))
		fact("failed=plan: none on the command line");
	for (step = strtok_r(plan, ",", &save); step; step = strtok_r(NULL, ",", &save))
		run_step(step);
	end_machine(RB_POWER_OFF);
	return 0;
}
