/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A call eventfd that cannot make us wait. write() sleeps where the counter is full and the file is
 * not O_NONBLOCK, and both are in the front-end's hands, at any time. But the kernel's own signal
 * at the end of an asynchronous I/O (IOCB_FLAG_RESFD of io_submit()) adds one to the counter, or
 * leaves it full, and wakes, and never waits. So a read of nothing, which ends before io_submit()
 * returns, signals the eventfd.
 */
#include "callfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * The head of the kernel's ring of completions, at the address that is the context: whoever reaps
 * moves head up to tail (Linux, fs/aio.c).
 */
struct completions {
	uint32_t id;
	uint32_t n;
	_Atomic uint32_t head;
	_Atomic uint32_t tail;
	uint32_t magic;
	uint32_t compatible;
	uint32_t incompatible;
};
#define MAGIC  0xa10a10a1
/* At a time there is one. */
#define EVENTS 8

/* A context a thread: no lock, and no cache line, of another thread's. */
static struct completions **contexts;
static unsigned n_contexts;
static atomic_uint n_taken;
static int nothing_fd = -1;
static _Thread_local struct completions *own;
static _Thread_local bool asked;

/* A descriptor of another kind can make the lcore sleep in write(), whatever its flags. */
static bool is_eventfd(int fd)
{
	static const char wanted[] = "anon_inode:[eventfd]";
	char path[32];
	char target[sizeof(wanted)];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target)) == (ssize_t)(sizeof(wanted) - 1) &&
	       memcmp(target, wanted, sizeof(wanted) - 1) == 0;
}

bool vrtc_callfd_check(int callfd, int kickfd)
{
	if ((callfd >= 0 && !is_eventfd(callfd)) || (kickfd >= 0 && !is_eventfd(kickfd)))
		return false;
	/*
	 * The flag belongs to the open file, which the front-end shares and could clear again:
	 * DESIGN.md, D15.
	 */
	if (callfd >= 0)
		(void)fcntl(callfd, F_SETFL, O_NONBLOCK);
	return true;
}

/* 1: the eventfd was signalled. */
static long submit(struct completions *c, int callfd)
{
	struct iocb nothing = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)nothing_fd,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)callfd,
	};
	struct iocb *list = &nothing;
	long n = syscall(SYS_io_submit, (aio_context_t)(uintptr_t)c, 1L, &list);

	/* What has ended is of no interest; its place is the next one's. */
	atomic_store_explicit(&c->head, atomic_load_explicit(&c->tail, memory_order_acquire),
		memory_order_release);
	return n;
}

/* Returns NULL with errno. trial: an eventfd. */
static struct completions *make_completions(int trial)
{
	aio_context_t context = 0;
	struct completions *c;

	if (syscall(SYS_io_setup, (long)EVENTS, &context))
		return NULL;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel hands out numbers */
	c = (struct completions *)(uintptr_t)context;
	if (c && c->magic == MAGIC && !c->incompatible && submit(c, trial) == 1)
		return c;
	(void)syscall(SYS_io_destroy, context);
	errno = ENOTSUP;
	return NULL;
}

static int make_contexts(unsigned n_threads)
{
	int trial;
	int rc = 0;

	contexts = calloc(n_threads, sizeof(contexts[0]));
	if (!contexts)
		return -ENOMEM;
	nothing_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (nothing_fd < 0)
		return -errno;
	trial = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (trial < 0)
		return -errno;
	while (rc == 0 && n_contexts < n_threads) {
		struct completions *c = make_completions(trial);

		if (c)
			contexts[n_contexts++] = c;
		else
			rc = -errno;
	}
	close(trial);
	return rc;
}

int vrtc_callfd_protect(unsigned n_threads)
{
	int rc = make_contexts(n_threads);

	/* Those that were made are of use to as many threads. */
	if (n_contexts == 0) {
		free(contexts);
		contexts = NULL;
		if (nothing_fd >= 0)
			close(nothing_fd);
		nothing_fd = -1;
	}
	return rc;
}

static struct completions *take_context(void)
{
	unsigned i = n_contexts > 0 ? atomic_fetch_add(&n_taken, 1) : 0;

	asked = true;
	return i < n_contexts ? contexts[i] : NULL;
}

void vrtc_callfd_signal(int callfd)
{
	uint64_t one = 1;

	if (callfd < 0)
		return;
	if (!asked)
		own = take_context();
	/* -1: the front-end made the descriptor useless; nobody to tell. */
	if (own) {
		(void)submit(own, callfd);
		return;
	}
	/*
	 * It fails where the front-end made the descriptor useless, or where the counter is full
	 * and the interrupt thus pending: nobody to tell.
	 */
	if (write(callfd, &one, sizeof(one)) < 0)
		return;
}
