/* SPDX-License-Identifier: BSD-3-Clause */
#include "refuser.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

static atomic_uint calls;
static atomic_uint refused;
static int refused_err;
static atomic_long memory;
static struct itimerspec last_timer;

void refuser_begin(unsigned nth, int err)
{
	refused_err = err;
	atomic_store(&calls, 0);
	atomic_store(&refused, nth);
}

bool refuser_end(void)
{
	return atomic_exchange(&refused, 0) <= atomic_load(&calls);
}

long refuser_memory(void)
{
	return atomic_load(&memory);
}

unsigned refuser_descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!fds)
		abort();
	while (readdir(fds))
		n++;
	closedir(fds);
	return n;
}

void refuser_last_timer(struct itimerspec *timer)
{
	*timer = last_timer;
}

static bool is_refused(void)
{
	if (atomic_fetch_add(&calls, 1) + 1 != atomic_load(&refused))
		return false;
	errno = refused_err;
	return true;
}

static void *counted(void *piece)
{
	atomic_fetch_add(&memory, piece != NULL);
	return piece;
}

void *real_calloc(size_t n, size_t bytes) __asm__("__real_calloc");
void *seen_calloc(size_t n, size_t bytes) __asm__("__wrap_calloc");
void *real_aligned_alloc(size_t align, size_t bytes) __asm__("__real_aligned_alloc");
void *seen_aligned_alloc(size_t align, size_t bytes) __asm__("__wrap_aligned_alloc");
void real_free(void *piece) __asm__("__real_free");
void seen_free(void *piece) __asm__("__wrap_free");
void *real_mmap(void *at, size_t bytes, int protection, int flags, int fd, long offset) __asm__(
	"__real_mmap64");
void *seen_mmap(void *at, size_t bytes, int protection, int flags, int fd, long offset) __asm__(
	"__wrap_mmap64");
int real_munmap(void *at, size_t bytes) __asm__("__real_munmap");
int seen_munmap(void *at, size_t bytes) __asm__("__wrap_munmap");
void *seen_rte_zmalloc_socket(const char *type, size_t bytes, unsigned align, int node) __asm__(
	"__wrap_rte_zmalloc_socket");
void seen_rte_free(void *piece) __asm__("__wrap_rte_free");
int real_rte_rcu_qsbr_init(struct rte_rcu_qsbr *v, uint32_t threads) __asm__(
	"__real_rte_rcu_qsbr_init");
int seen_rte_rcu_qsbr_init(struct rte_rcu_qsbr *v, uint32_t threads) __asm__(
	"__wrap_rte_rcu_qsbr_init");
int real_eventfd(unsigned count, int flags) __asm__("__real_eventfd");
int seen_eventfd(unsigned count, int flags) __asm__("__wrap_eventfd");
int real_timerfd_create(int id, int flags) __asm__("__real_timerfd_create");
int seen_timerfd_create(int id, int flags) __asm__("__wrap_timerfd_create");
int real_timerfd_settime(int fd, int flags, const struct itimerspec *new,
	struct itimerspec *old) __asm__("__real_timerfd_settime");
int seen_timerfd_settime(int fd, int flags, const struct itimerspec *new,
	struct itimerspec *old) __asm__("__wrap_timerfd_settime");
int real_epoll_create1(int flags) __asm__("__real_epoll_create1");
int seen_epoll_create1(int flags) __asm__("__wrap_epoll_create1");
int real_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event) __asm__(
	"__real_epoll_ctl");
int seen_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event) __asm__(
	"__wrap_epoll_ctl");
int real_sigaction(int signo, const struct sigaction *new, struct sigaction *old) __asm__(
	"__real_sigaction");
int seen_sigaction(int signo, const struct sigaction *new, struct sigaction *old) __asm__(
	"__wrap_sigaction");

void *seen_calloc(size_t n, size_t bytes)
{
	return is_refused() ? NULL : counted(real_calloc(n, bytes));
}

void *seen_aligned_alloc(size_t align, size_t bytes)
{
	return is_refused() ? NULL : counted(real_aligned_alloc(align, bytes));
}

void seen_free(void *piece)
{
	atomic_fetch_sub(&memory, piece != NULL);
	real_free(piece);
}

void *seen_mmap(void *at, size_t bytes, int protection, int flags, int fd, long offset)
{
	void *piece;

	if (is_refused())
		return MAP_FAILED;
	piece = real_mmap(at, bytes, protection, flags, fd, offset);
	atomic_fetch_add(&memory, piece != MAP_FAILED);
	return piece;
}

int seen_munmap(void *at, size_t bytes)
{
	atomic_fetch_sub(&memory, 1);
	return real_munmap(at, bytes);
}

/* Without an EAL there is no heap of DPDK's. */
void *seen_rte_zmalloc_socket(const char *type, size_t bytes, unsigned align, int node)
{
	size_t all = (bytes + align - 1) / align * align;
	void *piece = is_refused() ? NULL : counted(real_aligned_alloc(align, all));

	(void)type;
	(void)node;
	if (piece)
		memset(piece, 0, all);
	return piece;
}

void seen_rte_free(void *piece)
{
	seen_free(piece);
}

int seen_rte_rcu_qsbr_init(struct rte_rcu_qsbr *v, uint32_t threads)
{
	return is_refused() ? 1 : real_rte_rcu_qsbr_init(v, threads);
}

int seen_eventfd(unsigned count, int flags)
{
	return is_refused() ? -1 : real_eventfd(count, flags);
}

int seen_timerfd_create(int id, int flags)
{
	return is_refused() ? -1 : real_timerfd_create(id, flags);
}

int seen_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	last_timer = *new;
	return is_refused() ? -1 : real_timerfd_settime(fd, flags, new, old);
}

int seen_epoll_create1(int flags)
{
	return is_refused() ? -1 : real_epoll_create1(flags);
}

int seen_epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	return is_refused() ? -1 : real_epoll_ctl(epoll_fd, op, fd, event);
}

int seen_sigaction(int signo, const struct sigaction *new, struct sigaction *old)
{
	return is_refused() ? -1 : real_sigaction(signo, new, old);
}
