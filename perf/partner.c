/* SPDX-License-Identifier: BSD-3-Clause */
#include "partner.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cycles.h"
#include "options.h"

#define LINE 64

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): a cache line each */
struct perf_partner {
	_Alignas(LINE) atomic_uint_fast64_t ping;
	_Alignas(LINE) atomic_uint_fast64_t pong;
	_Alignas(LINE) atomic_int polled; /* as work, for the loops */
	uint64_t sequence;
	struct perf_histogram *gaps;
	int cpu;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum perf_partner_work work; /* what it is told */
	enum perf_partner_work at;   /* what it does */
	int rc;                      /* of the pinning; 1: not done yet */
};

void perf_listen(struct perf_histogram *gaps, uint64_t cycles)
{
	uint64_t begin = perf_cycles();
	uint64_t last = begin;

	while (last - begin < cycles) {
		uint64_t now = perf_cycles();

		perf_histogram_add(gaps, now - last);
		/* What the histogram costs is no gap. */
		last = perf_cycles();
	}
}

static void bounce(struct perf_partner *p)
{
	/* All up to here was answered; the next may be there already. */
	uint64_t last = atomic_load_explicit(&p->pong, memory_order_relaxed);

	while (atomic_load_explicit(&p->polled, memory_order_relaxed) == PERF_PARTNER_BOUNCES) {
		uint64_t ping = atomic_load_explicit(&p->ping, memory_order_acquire);

		if (ping != last)
			atomic_store_explicit(&p->pong, ping, memory_order_release);
		last = ping;
	}
}

static void listen_to_noise(struct perf_partner *p)
{
	while (atomic_load_explicit(&p->polled, memory_order_relaxed) == PERF_PARTNER_LISTENS)
		perf_listen(p->gaps, 100000);
}

static void set_at(struct perf_partner *p, enum perf_partner_work at)
{
	pthread_mutex_lock(&p->lock);
	p->at = at;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static enum perf_partner_work await_work(struct perf_partner *p)
{
	enum perf_partner_work work;

	pthread_mutex_lock(&p->lock);
	while (p->work == PERF_PARTNER_SLEEPS)
		pthread_cond_wait(&p->changed, &p->lock);
	work = p->work;
	pthread_mutex_unlock(&p->lock);
	return work;
}

static void *run(void *partner)
{
	struct perf_partner *p = partner;
	enum perf_partner_work work;
	bool pinned = perf_pin("the partner", p->cpu);

	pthread_mutex_lock(&p->lock);
	p->rc = pinned ? 0 : -1;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	while (pinned && (work = await_work(p)) != PERF_PARTNER_ENDS) {
		set_at(p, work);
		if (work == PERF_PARTNER_BOUNCES)
			bounce(p);
		else
			listen_to_noise(p);
		set_at(p, PERF_PARTNER_SLEEPS);
	}
	return NULL;
}

struct perf_partner *perf_partner_new(int cpu, struct perf_histogram *gaps)
{
	struct perf_partner *p = aligned_alloc(LINE, sizeof(*p));

	if (!p) {
		fputs("the partner: out of memory\n", stderr);
		return NULL;
	}
	memset(p, 0, sizeof(*p));
	p->cpu = cpu;
	p->gaps = gaps;
	p->rc = 1;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
	if (pthread_create(&p->thread, NULL, run, p)) {
		fputs("the partner: no thread\n", stderr);
		free(p);
		return NULL;
	}
	pthread_mutex_lock(&p->lock);
	while (p->rc > 0)
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
	if (p->rc == 0)
		return p;
	perf_partner_free(p);
	return NULL;
}

static void tell(struct perf_partner *p, enum perf_partner_work work)
{
	atomic_store_explicit(&p->polled, (int)work, memory_order_relaxed);
	pthread_mutex_lock(&p->lock);
	p->work = work;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void await(struct perf_partner *p, enum perf_partner_work work)
{
	pthread_mutex_lock(&p->lock);
	while (p->at != work)
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

void perf_partner_begin(struct perf_partner *p, enum perf_partner_work work)
{
	tell(p, work);
	await(p, work);
}

void perf_partner_end(struct perf_partner *p)
{
	tell(p, PERF_PARTNER_SLEEPS);
	await(p, PERF_PARTNER_SLEEPS);
}

void perf_partner_bounce(struct perf_partner *p)
{
	uint64_t sequence = ++p->sequence;

	atomic_store_explicit(&p->ping, sequence, memory_order_release);
	while (atomic_load_explicit(&p->pong, memory_order_acquire) != sequence)
		;
}

void perf_partner_free(struct perf_partner *p)
{
	if (!p)
		return;
	tell(p, PERF_PARTNER_ENDS);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
