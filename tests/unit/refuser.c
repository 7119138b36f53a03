/* SPDX-License-Identifier: BSD-3-Clause */
#include "refuser.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

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

/* A call that the linker brings here: real_CALL is what it would be, seen_CALL what is called. */
#define WRAPPED(type, call, parameters)                                                            \
	type real_##call parameters __asm__("__real_" #call);                                      \
	type seen_##call parameters __asm__("__wrap_" #call)

/* One that is refused by an answer, and else has another one. */
#define REFUSED(type, call, parameters, refusal, answer)                                           \
	WRAPPED(type, call, parameters);                                                           \
	type seen_##call parameters                                                                \
	{                                                                                          \
		return is_refused() ? (refusal) : (answer);                                        \
	}

/* ---- Memory. */

REFUSED(void *, calloc, (size_t n, size_t bytes), NULL, counted(real_calloc(n, bytes)))
REFUSED(void *, aligned_alloc, (size_t align, size_t bytes), NULL,
	counted(real_aligned_alloc(align, bytes)))
REFUSED(char *, strdup, (const char *text), NULL, counted(real_strdup(text)))
WRAPPED(int, asprintf, (char **text, const char *format, ...));
WRAPPED(void, free, (void *piece));
WRAPPED(void *, mmap64, (void *at, size_t bytes, int protection, int flags, int fd, off_t offset));
WRAPPED(int, munmap, (void *at, size_t bytes));
WRAPPED(void *, rte_zmalloc_socket, (const char *type, size_t bytes, unsigned align, int node));
WRAPPED(void, rte_free, (void *piece));

int seen_asprintf(char **text, const char *format, ...)
{
	va_list arguments;
	int n;

	if (is_refused())
		return -1;
	va_start(arguments, format);
	n = vasprintf(text, format, arguments);
	va_end(arguments);
	atomic_fetch_add(&memory, n >= 0);
	return n;
}

void seen_free(void *piece)
{
	atomic_fetch_sub(&memory, piece != NULL);
	real_free(piece);
}

void *seen_mmap64(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	void *piece;

	if (is_refused())
		return MAP_FAILED;
	piece = real_mmap64(at, bytes, protection, flags, fd, offset);
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

/* ---- Descriptors. */

REFUSED(int, eventfd, (unsigned count, int flags), -1, real_eventfd(count, flags))
REFUSED(int, timerfd_create, (int id, int flags), -1, real_timerfd_create(id, flags))
REFUSED(int, epoll_create1, (int flags), -1, real_epoll_create1(flags))
REFUSED(int, epoll_ctl, (int epoll_fd, int op, int fd, struct epoll_event *event), -1,
	real_epoll_ctl(epoll_fd, op, fd, event))
WRAPPED(int, timerfd_settime,
	(int fd, int flags, const struct itimerspec *new, struct itimerspec *old));

int seen_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	last_timer = *new;
	return is_refused() ? -1 : real_timerfd_settime(fd, flags, new, old);
}

/* ---- Files. */

WRAPPED(int, open64, (const char *path, int flags, ...));
WRAPPED(int, openat64, (int folder, const char *path, int flags, ...));
REFUSED(int, fstat64, (int fd, struct stat *status), -1, real_fstat64(fd, status))
REFUSED(int, fstatfs64, (int fd, struct statfs *status), -1, real_fstatfs64(fd, status))
REFUSED(int, ftruncate64, (int fd, off_t bytes), -1, real_ftruncate64(fd, bytes))
REFUSED(int, posix_fallocate64, (int fd, off_t at, off_t bytes), refused_err,
	real_posix_fallocate64(fd, at, bytes))
REFUSED(int, flock, (int fd, int operation), -1, real_flock(fd, operation))

int seen_open64(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return is_refused() ? -1 : real_open64(path, flags, mode);
}

int seen_openat64(int folder, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return is_refused() ? -1 : real_openat64(folder, path, flags, mode);
}

/* ---- Sockets. */

REFUSED(int, socket, (int family, int type, int protocol), -1, real_socket(family, type, protocol))
REFUSED(int, setsockopt, (int fd, int level, int option, const void *value, socklen_t bytes), -1,
	real_setsockopt(fd, level, option, value, bytes))
REFUSED(ssize_t, send, (int fd, const void *data, size_t bytes, int flags), -1,
	real_send(fd, data, bytes, flags))
REFUSED(ssize_t, recv, (int fd, void *data, size_t bytes, int flags), -1,
	real_recv(fd, data, bytes, flags))

/* ---- Threads, signals and programs; most of them return what is wrong. */

REFUSED(int, sigaction, (int signo, const struct sigaction *new, struct sigaction *old), -1,
	real_sigaction(signo, new, old))
REFUSED(int, rte_rcu_qsbr_init, (struct rte_rcu_qsbr * v, uint32_t threads), 1,
	real_rte_rcu_qsbr_init(v, threads))
REFUSED(int, pthread_attr_init, (pthread_attr_t * attributes), refused_err,
	real_pthread_attr_init(attributes))
REFUSED(int, pthread_create,
	(pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *),
		void *argument),
	refused_err, real_pthread_create(thread, attributes, run, argument))
REFUSED(int, pthread_sigmask, (int how, const sigset_t *set, sigset_t *old), refused_err,
	real_pthread_sigmask(how, set, old))
REFUSED(int, posix_spawnattr_init, (posix_spawnattr_t * attributes), refused_err,
	real_posix_spawnattr_init(attributes))
REFUSED(int, posix_spawnattr_setsigmask, (posix_spawnattr_t * attributes, const sigset_t *set),
	refused_err, real_posix_spawnattr_setsigmask(attributes, set))
REFUSED(int, posix_spawnattr_setsigdefault, (posix_spawnattr_t * attributes, const sigset_t *set),
	refused_err, real_posix_spawnattr_setsigdefault(attributes, set))
REFUSED(int, posix_spawnattr_setpgroup, (posix_spawnattr_t * attributes, pid_t group), refused_err,
	real_posix_spawnattr_setpgroup(attributes, group))
REFUSED(int, posix_spawnattr_setflags, (posix_spawnattr_t * attributes, short flags), refused_err,
	real_posix_spawnattr_setflags(attributes, flags))
REFUSED(int, posix_spawn_file_actions_init, (posix_spawn_file_actions_t * files), refused_err,
	real_posix_spawn_file_actions_init(files))
REFUSED(int, posix_spawn_file_actions_addopen,
	(posix_spawn_file_actions_t * files, int fd, const char *path, int flags, mode_t mode),
	refused_err, real_posix_spawn_file_actions_addopen(files, fd, path, flags, mode))
REFUSED(int, posix_spawn_file_actions_adddup2,
	(posix_spawn_file_actions_t * files, int fd, int other), refused_err,
	real_posix_spawn_file_actions_adddup2(files, fd, other))
REFUSED(int, posix_spawn_file_actions_addclosefrom_np, (posix_spawn_file_actions_t * files, int fd),
	refused_err, real_posix_spawn_file_actions_addclosefrom_np(files, fd))
