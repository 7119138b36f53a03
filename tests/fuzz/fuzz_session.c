/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole sessions: the real rte_vhost, backend.c, session.c and an lcore with requests and alarms,
 * in this process; the input is the front-end, over a real socket, and the guest. Each session
 * begins as a lawful one (a clock is read), and then says and does what the input has. Checked,
 * beside what the sanitizers see:
 *
 * - as long as a front-end has kept to the protocol, every request is answered;
 * - after each step the back-end has answered or closed, within WAIT_MS: nothing hangs;
 * - after each input there are as many descriptors, mappings of guest memory and blocks of the
 *   EAL's heap as before;
 * - the next front-end is served.
 *
 * The threads are real, so one input may go more than one way; those of the corpus go through in
 * all. What rte_vhost is known to do wrong (lib/rtc/rte_vhost-findings.md) is not asked of it, see
 * is_lost() and open_kind(); half a message is followed by the end of the connection, since
 * rte_vhost would wait a second for the rest.
 *
 * Input: a byte that chooses the session, then steps, see run_step().
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_malloc.h>

#include "alarm_store.h"
#include "backend.h"
#include "eal_default.h"
#include "frontend/deadline.h"
#include "frontend/rtc.h"
#include "fuzz.h"

#define WAIT_MS     20000
#define STEPS_MAX   40
#define RING_SIZE   16
#define MEM_BYTES   (1024 * 1024)
#define REQUEST_MAX 45

/* ---- The back-end, once for all inputs. */

static struct {
	struct vrtc_clock clock[4];
	struct vrtc_leap_table leap;
	struct vrtc_hosttime host;
	struct vrtc_pairing pairing;
	struct vrtc_timesource time;
	struct vrtc_alarm_source source;
	struct vrtc_alarm_lcore *alarms;
	struct vrtc_poller *poller;
	char folder[64];
	char path[80];
} device = {
	.clock = {{VIRTIO_RTC_CLOCK_UTC_SMEARED, VIRTIO_RTC_SMEAR_NOON_LINEAR, true},
		{VIRTIO_RTC_CLOCK_UTC, VIRTIO_RTC_SMEAR_UNSPECIFIED, true},
		{VIRTIO_RTC_CLOCK_TAI, VIRTIO_RTC_SMEAR_UNSPECIFIED, false},
		{VIRTIO_RTC_CLOCK_MONOTONIC, VIRTIO_RTC_SMEAR_UNSPECIFIED, true}},
};

/* What has to be the same after each input. */
struct kept {
	unsigned fds;
	unsigned mappings; /* of guests' memory */
	unsigned blocks;   /* of the EAL's heap */
};

static struct kept before;

static void remove_folder(void)
{
	(void)unlink(device.path);
	(void)rmdir(device.folder);
}

/* As the daemon's own, quietly. */
static void start_eal(void)
{
	static char program[] = "fuzz_session";
	struct app_eal_default eal;
	cpu_set_t allowed;

	FUZZ_CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
	app_eal_default_make(&eal, &allowed, false, program);
	app_eal_default_runtime_dir();
	FUZZ_CHECK(rte_eal_init(eal.argc, eal.argv) >= 0);
	/* A line for each message would be most of the work. */
	rte_log_set_global_level(RTE_LOG_EMERG);
}

static void start_device(void)
{
	/* Two of them do. */
	static const char leaps[] = "#@\t4102444800\n2272060800\t10\n2287785600\t11\n";
	enum vrtc_alarm_store_result result;
	struct vrtc_hosttime_report report;
	char why[VRTC_ALARM_STORE_WHY_BYTES];
	struct vrtc_endpoint_config config = {.name = "fuzzed",
		.socket_path = device.path,
		.device = {.clock = device.clock, .n_clocks = 4},
		.time = &device.time,
		.counter = {.choice = VRTC_COUNTER_VMM},
		.alarms = {.retain = VRTC_RETAIN_NO, .time = &device.time}};
	unsigned lcore = rte_get_next_lcore(-1, 1, 0);

	FUZZ_CHECK(vrtc_leap_parse(&device.leap, leaps, strlen(leaps), NULL) == VRTC_LEAP_OK);
	vrtc_hosttime_init(&device.host, VRTC_HOST_UTC, &device.leap, &report);
	vrtc_pairing_init(&device.pairing);
	device.time = (struct vrtc_timesource){.pairing = &device.pairing, .host = &device.host};
	device.source = (struct vrtc_alarm_source){.time = &device.time};
	for (unsigned i = 0; i < 4; i++)
		device.source.capacity[vrtc_clock_timescale(&device.clock[i])]++;
	device.alarms = vrtc_alarm_lcore_new(lcore, -1, &device.source, 1, 1);
	FUZZ_CHECK(device.alarms);
	device.poller = vrtc_poller_new(lcore, -1, VRTC_IDLE_INTERRUPT, device.alarms);
	FUZZ_CHECK(device.poller);
	FUZZ_CHECK(rte_eal_remote_launch(vrtc_poller_run, device.poller, lcore) == 0);
	FUZZ_CHECK(vrtc_backend_init(&(struct vrtc_backend_config){.poller = &device.poller,
			   .n_pollers = 1,
			   .alarm_lcore = &device.alarms,
			   .n_alarm_lcores = 1}) >= 0);
	config.alarms.ledger =
		vrtc_alarm_store_ledger(NULL, "fuzzed", device.clock, 4, &result, why);
	FUZZ_CHECK(config.alarms.ledger);
	FUZZ_CHECK(vrtc_backend_open(&config));
	vrtc_backend_nudge_events();
}

/* ---- What is kept. */

static unsigned count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned n = 0;

	FUZZ_CHECK(folder);
	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

/* For a report: what they are. */
static void list_fds(void)
{
	for (int fd = 0; fd < 256; fd++) {
		char path[32];
		char what[256];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, what, sizeof(what));
		if (n > 0)
			fprintf(stderr, "%d: %.*s\n", fd, (int)n, what);
	}
}

static unsigned count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	unsigned n = 0;

	FUZZ_CHECK(maps);
	while (fgets(line, sizeof(line), maps))
		n += strstr(line, "/memfd:") != NULL;
	fclose(maps);
	return n;
}

static unsigned count_blocks(void)
{
	struct rte_malloc_socket_stats stats;

	FUZZ_CHECK(rte_malloc_get_socket_stats(0, &stats) == 0);
	return stats.alloc_count;
}

static void pause_us(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static bool is_as_before(struct kept *now)
{
	now->fds = count_fds();
	now->blocks = count_blocks();
	now->mappings = before.mappings;
	if (now->fds > before.fds || now->blocks > before.blocks)
		return false;
	now->mappings = count_mappings();
	return now->mappings <= before.mappings;
}

/* rte_vhost closes its end of a connection a moment later. */
static void check_kept(void)
{
	int64_t end_ns = vfe_deadline_in_ms(WAIT_MS);
	struct kept now;

	while (!is_as_before(&now)) {
		if (vfe_now_ns() > end_ns) {
			fprintf(stderr,
				"before: %u descriptors, %u mappings, %u blocks; after: "
				"%u, %u, %u\n",
				before.fds, before.mappings, before.blocks, now.fds, now.mappings,
				now.blocks);
			list_fds();
			abort();
		}
		pause_us(100);
	}
}

/* ---- The front-end. */

struct front_end {
	struct vfe_session s;
	bool lawful; /* it has kept to the protocol until now, and its rings are whole */
	bool ended;  /* we have closed our end of what we say */
};

static int64_t soon(void)
{
	return vfe_deadline_in_ms(WAIT_MS);
}

static void begin(struct front_end *f, uint8_t choice)
{
	struct vfe_config cfg;
	uint64_t reading_ns;
	int status;

	vfe_config_default(&cfg, device.path);
	cfg.timeout_ms = WAIT_MS;
	cfg.connect_ms = WAIT_MS;
	cfg.ring_size = RING_SIZE;
	cfg.mem_bytes = MEM_BYTES;
	cfg.features |= UINT64_C(1) << VIRTIO_RTC_F_ALARM;
	if (choice & 1)
		cfg.features |= UINT64_C(1) << VFE_F_RING_PACKED;
	if (choice & 2)
		cfg.features |= UINT64_C(1) << VFE_F_EVENT_IDX;
	if (choice & 4)
		cfg.features |= UINT64_C(1) << VFE_F_INDIRECT_DESC;
	if (choice & 8)
		cfg.protocol_features |= UINT64_C(1) << VFE_PROTOCOL_F_LOG_SHMFD |
					 UINT64_C(1) << VFE_PROTOCOL_F_CONFIG;
	if (choice & 16)
		cfg.protocol_features &= ~(UINT64_C(1) << VFE_PROTOCOL_F_REPLY_ACK);
	cfg.indirect = choice & 4;
	cfg.queues = 3;
	f->ended = false;
	f->lawful = true;
	FUZZ_CHECK(vfe_session_init(&f->s, &cfg) == 0);
	/* The one before may not be gone yet: then it is refused, and has to come again. */
	for (int64_t end_ns = soon(); vfe_session_start(&f->s) != 0;) {
		if (vfe_now_ns() > end_ns) {
			fprintf(stderr, "no session: %s\n", vfe_error(&f->s));
			abort();
		}
		vfe_session_disconnect(&f->s);
		pause_us(1000);
	}
	status = vfe_rtc_read(&f->s, 1, &reading_ns);
	if (status != VIRTIO_RTC_S_OK)
		fprintf(stderr, "READ: %d, %s\n", status, vfe_error(&f->s));
	FUZZ_CHECK(status == VIRTIO_RTC_S_OK);
}

static void end(struct front_end *f)
{
	vfe_session_fini(&f->s);
}

/* Nobody is there any more, or the other end wants to hear no more. */
static bool is_open(const struct front_end *f)
{
	return f->s.sock >= 0 && !f->ended;
}

/* Until the back-end has done what it was told: it answers what comes behind, or closes. */
static void settle(struct front_end *f)
{
	struct vfe_msg msg = {.header = {VFE_MSG_GET_FEATURES, VFE_MSG_VERSION, 0}};
	int rc = 0;

	if (f->s.sock < 0)
		return;
	if (f->ended) {
		FUZZ_CHECK(vfe_msg_wait_closed(f->s.sock, soon()) == 0);
		vfe_session_disconnect(&f->s);
	} else {
		rc = vfe_msg_send(f->s.sock, &msg, NULL, 0, soon());
		do {
			if (rc == 0)
				rc = vfe_msg_recv(f->s.sock, &msg, NULL, NULL, soon());
		} while (rc == 0 && msg.header.request != VFE_MSG_GET_FEATURES);
		FUZZ_CHECK(rc != -ETIMEDOUT);
		if (rc != 0)
			vfe_session_disconnect(&f->s);
	}
	/* The main thread's part: broken rings, and memory that is gone. */
	vrtc_backend_report();
}

/* rte_vhost loses the descriptors of these, see rte_vhost-findings.md. */
static bool is_lost(const struct vfe_msg *msg)
{
	uint32_t index = msg->payload.state.index;

	switch (msg->header.request) {
	case VFE_MSG_SET_INFLIGHT_FD:
		return true;
	case VFE_MSG_SET_VRING_NUM:
	case VFE_MSG_SET_VRING_ADDR:
	case VFE_MSG_SET_VRING_BASE:
	case VFE_MSG_GET_VRING_BASE:
	case VFE_MSG_SET_VRING_ENABLE:
		return index > 255 || msg->header.size < sizeof(index);
	default:
		return false;
	}
}

/* No descriptor that mmap() alone refuses, such as a sealed file: rte_vhost would lose it. */
static int open_kind(struct front_end *f, uint8_t kind)
{
	int pair[2];
	int fd;

	switch (kind % 8) {
	case 0:
	case 1:
		return fcntl(f->s.mem.regions[0].fd, F_DUPFD_CLOEXEC, 0);
	case 2:
		return fcntl(f->s.queues[kind >> 7].kick_fd, F_DUPFD_CLOEXEC, 0);
	case 3:
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	case 4: /* of which the other end is closed */
		FUZZ_CHECK(pipe2(pair, O_CLOEXEC | O_NONBLOCK) == 0);
		close(pair[kind >> 7]);
		return pair[!(kind >> 7)];
	case 5:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case 6:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	default: /* of any size */
		fd = memfd_create("other", MFD_CLOEXEC);
		FUZZ_CHECK(fd >= 0 && ftruncate(fd, (off_t)(kind >> 3) * 4096) == 0);
		return fd;
	}
}

static void say(
	struct front_end *f, struct fuzz_input *in, struct vfe_msg *msg, unsigned n_fds, bool cut)
{
	size_t bytes = sizeof(msg->header) + msg->header.size;
	int fds[VFE_MSG_FDS_MAX];

	if (!is_open(f))
		return;
	f->lawful = false;
	if (cut || is_lost(msg))
		n_fds = 0;
	for (unsigned i = 0; i < n_fds; i++) {
		fds[i] = open_kind(f, fuzz_take8(in));
		FUZZ_CHECK(fds[i] >= 0);
	}
	if (cut) {
		/* It says that it is longer, or shorter, or is not whole; and that was it. */
		uint8_t how = fuzz_take8(in);

		if (how & 1)
			msg->header.size = fuzz_take32(in);
		else
			bytes = 1 + how % bytes;
		f->ended = true;
	}
	(void)vfe_msg_send_raw(f->s.sock, msg, bytes, n_fds ? fds : NULL, n_fds, soon());
	if (cut)
		(void)shutdown(f->s.sock, SHUT_WR);
	for (unsigned i = 0; i < n_fds; i++)
		close(fds[i]);
}

/* Header: request, how, and so many bytes as it says. */
static void say_anything(struct front_end *f, struct fuzz_input *in)
{
	struct vfe_msg msg = {.header.request = fuzz_take8(in) % REQUEST_MAX};
	uint8_t how = fuzz_take8(in);

	msg.header.flags = VFE_MSG_VERSION | (how & 1 ? VFE_MSG_NEED_REPLY : 0);
	if ((how & 0x8e) == 0x8e)
		msg.header.flags = fuzz_take32(in);
	msg.header.size = fuzz_take8(in);
	fuzz_take(in, msg.payload.raw, msg.header.size);
	say(f, in, &msg, how >> 4 & 3, (how & 0x4e) == 0x4e);
}

/* A number that may mean something where it stands. */
static uint64_t take_number(const struct front_end *f, struct fuzz_input *in)
{
	static const uint64_t numbers[] = {0, 1, 2, 4, 8, 16, 255, 256, 4096, MEM_BYTES, 32768,
		65535, UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
	const struct vfe_region *r = &f->s.mem.regions[0];
	uint8_t choice = fuzz_take8(in);

	switch (choice >> 5) {
	case 0:
	case 1:
		return choice & 31;
	case 2:
		return numbers[choice & 15];
	case 3: /* an area of a ring, as the back-end knows it */
	case 4: {
		const struct vfe_ring *ring = &f->s.queues[choice >> 4 & 1].ring;
		uint64_t gpa[] = {ring->desc_gpa, ring->avail_gpa, ring->used_gpa, r->gpa};

		return (uint64_t)(uintptr_t)r->host + gpa[choice & 3] - r->gpa + (choice & 12);
	}
	case 5:
		return (uint64_t)(uintptr_t)r->host + fuzz_take16(in) * UINT64_C(8);
	case 6:
		return r->gpa + fuzz_take16(in) * UINT64_C(8);
	default:
		return fuzz_take64(in);
	}
}

static void say_memory(struct front_end *f, struct fuzz_input *in, struct vfe_msg *msg)
{
	const struct vfe_region *r = &f->s.mem.regions[0];
	uint8_t how = fuzz_take8(in);
	unsigned n = 1 + how % VFE_MSG_REGIONS_MAX;
	uint64_t offset = 0;

	msg->payload.memory.n_regions = how & 0x80 ? fuzz_take8(in) : n;
	msg->header.size = 8 + n * (unsigned)sizeof(struct vfe_msg_region);
	for (unsigned i = 0; i < n; i++) {
		struct vfe_msg_region *region = &msg->payload.memory.regions[i];
		uint8_t wrong = fuzz_take8(in);

		/* What there is, in so many pieces, but for what the input has otherwise. */
		*region = (struct vfe_msg_region){.guest_addr = r->gpa + offset,
			.bytes = MEM_BYTES / n / 4096 * 4096,
			.user_addr = (uint64_t)(uintptr_t)r->host + offset,
			.mmap_offset = r->fd_offset + offset};
		offset += region->bytes;
		if (wrong & 1)
			region->guest_addr = take_number(f, in);
		if (wrong & 2)
			region->bytes = take_number(f, in);
		if (wrong & 4)
			region->user_addr = take_number(f, in);
		if (wrong & 8)
			region->mmap_offset = take_number(f, in);
	}
	say(f, in, msg, how & 0x40 ? fuzz_take8(in) % (VFE_MSG_FDS_MAX + 1) : n, false);
}

/* A message of the usual ones, and of the right size. */
static void say_usual(struct front_end *f, struct fuzz_input *in)
{
	static const uint8_t requests[] = {VFE_MSG_SET_FEATURES, VFE_MSG_SET_OWNER,
		VFE_MSG_SET_MEM_TABLE, VFE_MSG_SET_LOG_BASE, VFE_MSG_SET_VRING_NUM,
		VFE_MSG_SET_VRING_ADDR, VFE_MSG_SET_VRING_BASE, VFE_MSG_GET_VRING_BASE,
		VFE_MSG_SET_VRING_KICK, VFE_MSG_SET_VRING_CALL, VFE_MSG_SET_VRING_ERR,
		VFE_MSG_SET_PROTOCOL_FEATURES, VFE_MSG_SET_VRING_ENABLE, VFE_MSG_SET_CONFIG,
		VFE_MSG_RESET_OWNER, VFE_MSG_SET_LOG_FD};
	uint8_t choice = fuzz_take8(in);
	struct vfe_msg msg = {.header = {requests[choice & 15], VFE_MSG_VERSION, 8}};
	uint32_t queue = choice >> 4 & 1;

	if (choice & 0x80)
		msg.header.flags |= VFE_MSG_NEED_REPLY;
	switch (msg.header.request) {
	case VFE_MSG_SET_MEM_TABLE:
		say_memory(f, in, &msg);
		return;
	case VFE_MSG_SET_FEATURES:
	case VFE_MSG_SET_PROTOCOL_FEATURES:
		/* What was negotiated, with a bit of it changed. */
		msg.payload.u64 =
			msg.header.request == VFE_MSG_SET_FEATURES ? f->s.features : f->s.protocol;
		msg.payload.u64 ^= UINT64_C(1) << fuzz_take8(in) % 64;
		break;
	case VFE_MSG_SET_LOG_BASE:
		msg.header.size = sizeof(msg.payload.log);
		msg.payload.log.mmap_bytes = take_number(f, in);
		msg.payload.log.mmap_offset = choice & 0x40 ? take_number(f, in) : 0;
		say(f, in, &msg, 1, false);
		return;
	case VFE_MSG_SET_VRING_ADDR:
		msg.header.size = sizeof(msg.payload.addr);
		msg.payload.addr.index = queue;
		msg.payload.addr.flags = choice & 0x40 ? VFE_MSG_VRING_F_LOG : 0;
		msg.payload.addr.desc_user_addr = take_number(f, in);
		msg.payload.addr.used_user_addr = take_number(f, in);
		msg.payload.addr.avail_user_addr = take_number(f, in);
		msg.payload.addr.log_guest_addr = take_number(f, in);
		break;
	case VFE_MSG_SET_VRING_KICK:
	case VFE_MSG_SET_VRING_CALL:
	case VFE_MSG_SET_VRING_ERR:
		msg.payload.u64 = queue | (choice & 0x40 ? VFE_MSG_VRING_NO_FD : 0);
		say(f, in, &msg, choice & 0x40 ? 0 : 1, false);
		return;
	case VFE_MSG_SET_CONFIG:
		msg.payload.config.bytes = fuzz_take8(in) % 64;
		msg.header.size = 12 + msg.payload.config.bytes;
		fuzz_take(in, msg.payload.config.region, msg.payload.config.bytes);
		break;
	default:
		msg.payload.state.index = queue;
		msg.payload.state.num = (uint32_t)take_number(f, in);
		break;
	}
	say(f, in, &msg, choice & 0x20 ? fuzz_take8(in) % 3 : 0, false);
}

/* ---- The guest. */

/* Never through our mapping: the file may be shorter by now. */
static void write_memory(struct front_end *f, struct fuzz_input *in)
{
	const struct vfe_region *r = &f->s.mem.regions[0];
	uint8_t choice = fuzz_take8(in);
	const struct vfe_ring *ring = &f->s.queues[choice >> 7].ring;
	uint64_t gpa[] = {ring->desc_gpa, ring->avail_gpa, ring->used_gpa, r->gpa};
	uint64_t at = gpa[choice & 3] - r->gpa;
	uint8_t bytes[32];
	size_t n = 1 + (choice >> 2 & 31);

	at += choice & 3 ? fuzz_take8(in) : fuzz_take16(in) % 4096;
	fuzz_take(in, bytes, n);
	f->lawful = false;
	if (at + n <= MEM_BYTES)
		FUZZ_CHECK(pwrite(r->fd, bytes, n, (off_t)(r->fd_offset + at)) == (ssize_t)n);
}

static void kick(struct front_end *f, unsigned queue)
{
	(void)eventfd_write(f->s.queues[queue].kick_fd, 1);
	/* The lcore sleeps, or it will look soon. */
	pause_us(50);
	vrtc_poller_synchronize(device.poller);
}

static void ask(struct front_end *f, struct fuzz_input *in)
{
	uint8_t sizes = fuzz_take8(in);
	uint32_t req_bytes = sizes % 32;
	uint32_t resp_bytes = 8 * (sizes >> 5);
	uint8_t resp[64];
	uint8_t req[32];

	fuzz_take(in, req, req_bytes);
	if (req_bytes + resp_bytes > 0)
		FUZZ_CHECK(vfe_rtc_request(
				   &f->s, req, req_bytes, resp, resp_bytes, NULL, WAIT_MS) == 0);
}

static void run_step(struct front_end *f, struct fuzz_input *in)
{
	uint8_t step = fuzz_take8(in);
	struct vfe_session second;

	switch (step % 8) {
	case 0:
		say_anything(f, in);
		break;
	case 1:
		say_usual(f, in);
		break;
	case 2:
	case 3:
		write_memory(f, in);
		if (step & 8)
			kick(f, step >> 4 & 1);
		return;
	case 4:
		if (f->lawful)
			ask(f, in);
		else
			kick(f, step >> 4 & 1);
		return;
	case 5: /* buffers for alarms; the memory's end */
		if (step & 8) {
			f->lawful = false;
			FUZZ_CHECK(ftruncate(f->s.mem.regions[0].fd,
					   (off_t)(f->s.mem.regions[0].fd_offset +
						   fuzz_take8(in) * UINT64_C(4096))) == 0);
			kick(f, 0);
		} else if (f->lawful) {
			(void)vfe_rtc_alarmq_fill(&f->s, 1 + (step >> 4 & 3), 16);
		}
		break;
	case 6: /* another front-end after this one, or beside it: that is refused */
		if (step & 8) {
			end(f);
			begin(f, fuzz_take8(in));
			return;
		}
		FUZZ_CHECK(vfe_session_init(&second, &f->s.cfg) == 0);
		if (vfe_session_connect(&second) == 0 && is_open(f) && f->lawful)
			FUZZ_CHECK(vfe_msg_wait_closed(second.sock, soon()) == 0);
		vfe_session_fini(&second);
		break;
	default: /* the VM stops and goes on, or is reset */
		if (!f->lawful)
			return;
		if (step & 8)
			FUZZ_CHECK(vfe_session_reset(&f->s) == 0);
		else
			FUZZ_CHECK(vfe_session_stop(&f->s) == 0 && vfe_session_resume(&f->s) == 0);
		return;
	}
	settle(f);
}

static void run_session(const uint8_t *data, size_t bytes)
{
	static struct front_end f;
	struct fuzz_input in = {data, bytes};

	begin(&f, fuzz_take8(&in));
	for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++)
		run_step(&f, &in);
	if (!f.lawful && is_open(&f))
		settle(&f);
	end(&f);
}

static void start_all(void)
{
	/* What a first session of each kind takes for ever is not lost. */
	static const uint8_t kinds[] = {0, 1, 2, 3, 0, 1};
	int64_t end_ns = vfe_deadline_in_ms(WAIT_MS);

	snprintf(device.folder, sizeof(device.folder), "/tmp/fuzz_session.XXXXXX");
	FUZZ_CHECK(mkdtemp(device.folder));
	snprintf(device.path, sizeof(device.path), "%s/rtc.sock", device.folder);
	(void)atexit(remove_folder);
	start_eal();
	start_device();
	for (unsigned i = 0; i < sizeof(kinds); i++)
		run_session(&kinds[i], 1);
	/* The last connection is closed when nothing has changed for a while. */
	for (unsigned same = 0; same < 50 && vfe_now_ns() < end_ns; same++) {
		struct kept now = {count_fds(), count_mappings(), count_blocks()};

		if (!fuzz_is_same(&now, &before, sizeof(now)))
			same = 0;
		before = now;
		pause_us(1000);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (!device.poller)
		start_all();
	/* Anew each time: libFuzzer's symbolizer comes when it likes, and has pipes. */
	before = (struct kept){count_fds(), count_mappings(), count_blocks()};
	run_session(data, bytes);
	check_kept();
	return 0;
}
