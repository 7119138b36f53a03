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

char *real_strdup(const char *text) __asm__("__real_strdup");
char *seen_strdup(const char *text) __asm__("__wrap_strdup");
int seen_asprintf(char **text, const char *format, ...) __asm__("__wrap_asprintf")
	__attribute__((format(printf, 2, 3)));
int real_pthread_attr_init(pthread_attr_t *attributes) __asm__("__real_pthread_attr_init");
int seen_pthread_attr_init(pthread_attr_t *attributes) __asm__("__wrap_pthread_attr_init");
int real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
	void *argument) __asm__("__real_pthread_create");
int seen_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
	void *argument) __asm__("__wrap_pthread_create");
int real_pthread_sigmask(int how, const sigset_t *set, sigset_t *old) __asm__(
	"__real_pthread_sigmask");
int seen_pthread_sigmask(int how, const sigset_t *set, sigset_t *old) __asm__(
	"__wrap_pthread_sigmask");
int real_socket(int family, int type, int protocol) __asm__("__real_socket");
int seen_socket(int family, int type, int protocol) __asm__("__wrap_socket");
int real_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes) __asm__(
	"__real_setsockopt");
int seen_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes) __asm__(
	"__wrap_setsockopt");
ssize_t real_send(int fd, const void *data, size_t bytes, int flags) __asm__("__real_send");
ssize_t seen_send(int fd, const void *data, size_t bytes, int flags) __asm__("__wrap_send");
ssize_t real_recv(int fd, void *data, size_t bytes, int flags) __asm__("__real_recv");
ssize_t seen_recv(int fd, void *data, size_t bytes, int flags) __asm__("__wrap_recv");
int real_spawnattr_init(posix_spawnattr_t *attributes) __asm__("__real_posix_spawnattr_init");
int seen_spawnattr_init(posix_spawnattr_t *attributes) __asm__("__wrap_posix_spawnattr_init");
int real_spawnattr_setsigmask(posix_spawnattr_t *attributes, const sigset_t *set) __asm__(
	"__real_posix_spawnattr_setsigmask");
int seen_spawnattr_setsigmask(posix_spawnattr_t *attributes, const sigset_t *set) __asm__(
	"__wrap_posix_spawnattr_setsigmask");
int real_spawnattr_setsigdefault(posix_spawnattr_t *attributes, const sigset_t *set) __asm__(
	"__real_posix_spawnattr_setsigdefault");
int seen_spawnattr_setsigdefault(posix_spawnattr_t *attributes, const sigset_t *set) __asm__(
	"__wrap_posix_spawnattr_setsigdefault");
int real_spawnattr_setpgroup(posix_spawnattr_t *attributes, pid_t group) __asm__(
	"__real_posix_spawnattr_setpgroup");
int seen_spawnattr_setpgroup(posix_spawnattr_t *attributes, pid_t group) __asm__(
	"__wrap_posix_spawnattr_setpgroup");
int real_spawnattr_setflags(posix_spawnattr_t *attributes, short flags) __asm__(
	"__real_posix_spawnattr_setflags");
int seen_spawnattr_setflags(posix_spawnattr_t *attributes, short flags) __asm__(
	"__wrap_posix_spawnattr_setflags");
int real_files_init(posix_spawn_file_actions_t *files) __asm__(
	"__real_posix_spawn_file_actions_init");
int seen_files_init(posix_spawn_file_actions_t *files) __asm__(
	"__wrap_posix_spawn_file_actions_init");
int real_files_addopen(posix_spawn_file_actions_t *files, int fd, const char *path, int flags,
	mode_t mode) __asm__("__real_posix_spawn_file_actions_addopen");
int seen_files_addopen(posix_spawn_file_actions_t *files, int fd, const char *path, int flags,
	mode_t mode) __asm__("__wrap_posix_spawn_file_actions_addopen");
int real_files_adddup2(posix_spawn_file_actions_t *files, int fd, int other) __asm__(
	"__real_posix_spawn_file_actions_adddup2");
int seen_files_adddup2(posix_spawn_file_actions_t *files, int fd, int other) __asm__(
	"__wrap_posix_spawn_file_actions_adddup2");
int real_files_addclosefrom(posix_spawn_file_actions_t *files, int fd) __asm__(
	"__real_posix_spawn_file_actions_addclosefrom_np");
int seen_files_addclosefrom(posix_spawn_file_actions_t *files, int fd) __asm__(
	"__wrap_posix_spawn_file_actions_addclosefrom_np");

int real_open(const char *path, int flags, ...) __asm__("__real_open64");
int seen_open(const char *path, int flags, ...) __asm__("__wrap_open64");
int real_openat(int folder, const char *path, int flags, ...) __asm__("__real_openat64");
int seen_openat(int folder, const char *path, int flags, ...) __asm__("__wrap_openat64");
int real_fstat(int fd, struct stat *status) __asm__("__real_fstat64");
int seen_fstat(int fd, struct stat *status) __asm__("__wrap_fstat64");
int real_fstatfs(int fd, struct statfs *status) __asm__("__real_fstatfs64");
int seen_fstatfs(int fd, struct statfs *status) __asm__("__wrap_fstatfs64");
int real_ftruncate(int fd, off_t bytes) __asm__("__real_ftruncate64");
int seen_ftruncate(int fd, off_t bytes) __asm__("__wrap_ftruncate64");
int real_fallocate(int fd, off_t at, off_t bytes) __asm__("__real_posix_fallocate64");
int seen_fallocate(int fd, off_t at, off_t bytes) __asm__("__wrap_posix_fallocate64");
int real_flock(int fd, int operation) __asm__("__real_flock");
int seen_flock(int fd, int operation) __asm__("__wrap_flock");

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

char *seen_strdup(const char *text)
{
	return is_refused() ? NULL : counted(real_strdup(text));
}

int seen_asprintf(char **text, const char *format, ...)
{
	va_list arguments;
	int n = -1;

	if (is_refused())
		return -1;
	va_start(arguments, format);
	n = vasprintf(text, format, arguments);
	va_end(arguments);
	atomic_fetch_add(&memory, n >= 0);
	return n;
}

/* Those that return what is wrong. */

int seen_pthread_attr_init(pthread_attr_t *attributes)
{
	return is_refused() ? refused_err : real_pthread_attr_init(attributes);
}

int seen_pthread_create(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	return is_refused() ? refused_err : real_pthread_create(thread, attributes, run, argument);
}

int seen_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return is_refused() ? refused_err : real_pthread_sigmask(how, set, old);
}

int seen_spawnattr_init(posix_spawnattr_t *attributes)
{
	return is_refused() ? refused_err : real_spawnattr_init(attributes);
}

int seen_spawnattr_setsigmask(posix_spawnattr_t *attributes, const sigset_t *set)
{
	return is_refused() ? refused_err : real_spawnattr_setsigmask(attributes, set);
}

int seen_spawnattr_setsigdefault(posix_spawnattr_t *attributes, const sigset_t *set)
{
	return is_refused() ? refused_err : real_spawnattr_setsigdefault(attributes, set);
}

int seen_spawnattr_setpgroup(posix_spawnattr_t *attributes, pid_t group)
{
	return is_refused() ? refused_err : real_spawnattr_setpgroup(attributes, group);
}

int seen_spawnattr_setflags(posix_spawnattr_t *attributes, short flags)
{
	return is_refused() ? refused_err : real_spawnattr_setflags(attributes, flags);
}

int seen_files_init(posix_spawn_file_actions_t *files)
{
	return is_refused() ? refused_err : real_files_init(files);
}

int seen_files_addopen(
	posix_spawn_file_actions_t *files, int fd, const char *path, int flags, mode_t mode)
{
	return is_refused() ? refused_err : real_files_addopen(files, fd, path, flags, mode);
}

int seen_files_adddup2(posix_spawn_file_actions_t *files, int fd, int other)
{
	return is_refused() ? refused_err : real_files_adddup2(files, fd, other);
}

int seen_files_addclosefrom(posix_spawn_file_actions_t *files, int fd)
{
	return is_refused() ? refused_err : real_files_addclosefrom(files, fd);
}

/* Files. */

int seen_open(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return is_refused() ? -1 : real_open(path, flags, mode);
}

int seen_openat(int folder, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return is_refused() ? -1 : real_openat(folder, path, flags, mode);
}

int seen_fstat(int fd, struct stat *status)
{
	return is_refused() ? -1 : real_fstat(fd, status);
}

int seen_fstatfs(int fd, struct statfs *status)
{
	return is_refused() ? -1 : real_fstatfs(fd, status);
}

int seen_ftruncate(int fd, off_t bytes)
{
	return is_refused() ? -1 : real_ftruncate(fd, bytes);
}

int seen_fallocate(int fd, off_t at, off_t bytes)
{
	return is_refused() ? refused_err : real_fallocate(fd, at, bytes);
}

int seen_flock(int fd, int operation)
{
	return is_refused() ? -1 : real_flock(fd, operation);
}

/* Sockets. */

int seen_socket(int family, int type, int protocol)
{
	return is_refused() ? -1 : real_socket(family, type, protocol);
}

int seen_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes)
{
	return is_refused() ? -1 : real_setsockopt(fd, level, option, value, bytes);
}

ssize_t seen_send(int fd, const void *data, size_t bytes, int flags)
{
	return is_refused() ? -1 : real_send(fd, data, bytes, flags);
}

ssize_t seen_recv(int fd, void *data, size_t bytes, int flags)
{
	return is_refused() ? -1 : real_recv(fd, data, bytes, flags);
}
