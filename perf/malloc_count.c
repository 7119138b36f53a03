/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For LD_PRELOAD: counts what each thread allocates and frees, in a file that perf/hot-path maps.
 * $MALLOC_COUNT is its path; without it, nothing is counted. An array of struct slot, one for each
 * thread that ever allocated.
 *
 * rte_malloc() takes from memory that the EAL has mapped before, and is not seen.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOTS 256

struct slot {
	_Atomic(uint64_t) tid; /* 0: free */
	_Atomic(uint64_t) calls;
};

static struct slot *slots;
static atomic_int taken;
static __thread struct slot *mine __attribute__((tls_model("initial-exec")));

/* glibc's own, under the names that it has for interposers. */
/* NOLINTBEGIN(cert-dcl37-c,cert-dcl51-cpp): reserved for glibc, whose they are. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);
void __libc_free(void *p);
/* NOLINTEND(cert-dcl37-c,cert-dcl51-cpp) */

static __attribute__((constructor)) void map_slots(void)
{
	const char *path = getenv("MALLOC_COUNT");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p;

	if (fd < 0)
		return;
	p = mmap(NULL, SLOTS * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		slots = p;
}

static void count(void)
{
	if (!slots)
		return;
	if (!mine) {
		int i = atomic_fetch_add(&taken, 1);

		if (i >= SLOTS)
			return;
		mine = &slots[i];
		atomic_store(&mine->tid, (uint64_t)syscall(SYS_gettid));
	}
	atomic_fetch_add_explicit(&mine->calls, 1, memory_order_relaxed);
}

void *malloc(size_t bytes)
{
	count();
	return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
	count();
	return __libc_calloc(n, bytes);
}

void *realloc(void *p, size_t bytes)
{
	count();
	return __libc_realloc(p, bytes);
}

void *memalign(size_t align, size_t bytes)
{
	count();
	return __libc_memalign(align, bytes);
}

void *aligned_alloc(size_t align, size_t bytes)
{
	count();
	return __libc_memalign(align, bytes);
}

int posix_memalign(void **p, size_t align, size_t bytes)
{
	count();
	*p = __libc_memalign(align, bytes);
	return *p ? 0 : 12; /* ENOMEM */
}

void free(void *p)
{
	if (p)
		count();
	__libc_free(p);
}
