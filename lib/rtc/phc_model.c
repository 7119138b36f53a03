/* SPDX-License-Identifier: BSD-3-Clause */
#include "phc_model.h"

#include <string.h>

/* How fast a line bends to the estimate, in ns a ns: what NTP calls the most that is decent. */
#define BEND_MAX      500e-6
/* Looks that are farther apart say nothing of the frequency now. */
#define WINDOW_NS     8e9
/* What is learnt of the allowance is halved in so many looks, a minute. */
#define FORGET_LOOKS  600
/* Times beyond this are not of a clock: within 146 years of 1970. */
#define TIME_NS_MAX   (INT64_MAX / 2)
#define RATE_ONE      ((double)(INT64_C(1) << VRTC_PHC_RATE_SHIFT))
#define RATE_MAX      32768.0 /* ns a count: a counter of 30 kHz */
#define ALLOWANCE_MIN (VRTC_PHC_ALLOWANCE_MIN_PPB * 1e-9)

void vrtc_phc_model_init(struct vrtc_phc_model *m, int64_t holdover_ns)
{
	memset(m, 0, sizeof(*m));
	m->holdover_ns = holdover_ns;
	m->allowance = ALLOWANCE_MIN;
}

void vrtc_phc_model_forget(struct vrtc_phc_model *m)
{
	m->n = 0;
	m->known = false;
	m->refused = 0;
}

static const struct vrtc_phc_look *look_at(const struct vrtc_phc_model *m, unsigned i)
{
	return &m->look[(m->first + i) % VRTC_PHC_LOOKS];
}

static const struct vrtc_phc_look *newest(const struct vrtc_phc_model *m)
{
	return look_at(m, m->n - 1);
}

static void add(struct vrtc_phc_model *m, const struct vrtc_phc_look *look)
{
	if (m->n == VRTC_PHC_LOOKS)
		m->first = (m->first + 1) % VRTC_PHC_LOOKS;
	else
		m->n++;
	m->look[(m->first + m->n - 1) % VRTC_PHC_LOOKS] = *look;
}

/* Keeps the newest looks alone. */
static void keep(struct vrtc_phc_model *m, unsigned n)
{
	if (m->n > n) {
		m->first = (m->first + m->n - n) % VRTC_PHC_LOOKS;
		m->n = n;
	}
}

static double max(double a, double b)
{
	return a > b ? a : b;
}

static double clamp(double value, double low, double high)
{
	return value < low ? low : value > high ? high : value;
}

/* Of a look, relative to the newest one. */
static double counts_of(const struct vrtc_phc_model *m, const struct vrtc_phc_look *look)
{
	return (double)(int64_t)(look->counter - newest(m)->counter);
}

static double ns_of(const struct vrtc_phc_model *m, const struct vrtc_phc_look *look)
{
	return (double)(look->time_ns - newest(m)->time_ns);
}

/* Tight brackets count for more; some ns are the noise of any. */
static double weight_of(const struct vrtc_phc_look *look)
{
	double half_ns = (double)look->half_ns + 2;

	return 1 / (half_ns * half_ns);
}

/*
 * The rate by the looks of the window, cut to what is known of it from before, where there is
 * anything known.
 */
static void cut_rate(struct vrtc_phc_model *m, double rate, double doubt)
{
	double carried = m->rate_doubt + m->allowance * m->rate;
	double low = rate - doubt;
	double high = rate + doubt;

	if (m->known && max(low, m->rate - carried) <= -max(-high, -(m->rate + carried))) {
		low = max(low, m->rate - carried);
		high = -max(-high, -(m->rate + carried));
	}
	m->rate = clamp(rate, low, high);
	m->rate_doubt = max(high - m->rate, m->rate - low);
}

/*
 * The straight line through the looks of the window, by weighted least squares, and how far its
 * slope can be off if each look is off by all of its bracket, in the worst sense. Returns what it
 * says of the newest look, relative to that. There are two looks at least.
 */
static double fit(struct vrtc_phc_model *m)
{
	double sum = 0, sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0, sum_doubt = 0;
	unsigned begin = 0;

	while (begin + 2 < m->n && ns_of(m, look_at(m, begin)) < -WINDOW_NS)
		begin++;
	for (unsigned i = begin; i < m->n; i++) {
		double weight = weight_of(look_at(m, i));

		sum += weight;
		sum_x += weight * counts_of(m, look_at(m, i));
		sum_y += weight * ns_of(m, look_at(m, i));
	}
	sum_x /= sum;
	sum_y /= sum;
	for (unsigned i = begin; i < m->n; i++) {
		const struct vrtc_phc_look *look = look_at(m, i);
		double x = counts_of(m, look) - sum_x;

		sum_xx += weight_of(look) * x * x;
		sum_xy += weight_of(look) * x * (ns_of(m, look) - sum_y);
		sum_doubt += weight_of(look) * (x < 0 ? -x : x) * (double)look->half_ns;
	}
	cut_rate(m, sum_xy / sum_xx, sum_doubt / sum_xx);
	return sum_y - m->rate * sum_x;
}

/* Where the line in use is at a counter, exactly. */
static bool line_at(
	const struct vrtc_phc_line *line, uint64_t counter, int64_t *time_ns, uint64_t *fraction)
{
	int64_t counts = (int64_t)(counter - line->counter0);
	int64_t bent;
	__int128 sum;

	if (line->counts_max == 0 || counts < 0 || (uint64_t)counts > line->counts_max)
		return false;
	bent = (uint64_t)counts > line->bend ? (int64_t)line->bend : counts;
	sum = (__int128)bent * line->bent_rate + (__int128)(counts - bent) * line->rate +
	      (__int128)line->fraction;
	*time_ns = line->time0_ns + (int64_t)(sum >> VRTC_PHC_RATE_SHIFT);
	*fraction = (uint64_t)sum & ((UINT64_C(1) << VRTC_PHC_RATE_SHIFT) - 1);
	return true;
}

/* The estimate at a counter, as a time and a rest. */
static double estimate_at(const struct vrtc_phc_model *m, uint64_t counter, int64_t *time_ns)
{
	double ns = m->estimate_ns + m->rate * (double)(int64_t)(counter - newest(m)->counter);
	int64_t whole_ns = (int64_t)ns;

	*time_ns = newest(m)->time_ns + whole_ns;
	return ns - (double)whole_ns;
}

/* The line in use minus the estimate, in ns. */
static double line_off(const struct vrtc_phc_model *m, uint64_t counter)
{
	int64_t shown_ns, estimate_ns;
	uint64_t fraction;
	double rest;

	if (!line_at(&m->line, counter, &shown_ns, &fraction))
		return 0;
	rest = estimate_at(m, counter, &estimate_ns);
	return (double)(shown_ns - estimate_ns) + (double)fraction / RATE_ONE - rest;
}

/* A new line from counter on: it goes on with the line in use, or begins at the estimate. */
static void draw(struct vrtc_phc_model *m, uint64_t counter, bool go_on)
{
	struct vrtc_phc_line line = {.counter0 = counter};
	double holdover = (double)m->holdover_ns / m->rate;
	double off = line_off(m, counter);
	double bend = 2 * VRTC_PHC_LOOK_NS / m->rate;
	double rest;

	if (go_on && line_at(&m->line, counter, &line.time0_ns, &line.fraction)) {
		/* In two looks' time, or as fast as is decent. */
		if (max(off, -off) > BEND_MAX * bend * m->rate)
			bend = max(off, -off) / (BEND_MAX * m->rate);
	} else {
		rest = estimate_at(m, counter, &line.time0_ns);
		if (rest < 0) {
			rest += 1;
			line.time0_ns--;
		}
		line.fraction = (uint64_t)(rest * RATE_ONE);
		off = 0;
	}
	line.bend = (uint64_t)bend;
	line.bent_rate = (int64_t)((m->rate - off / bend) * RATE_ONE);
	line.rate = (int64_t)(m->rate * RATE_ONE);
	line.counts_max = (uint64_t)holdover - (counter - newest(m)->counter < (uint64_t)holdover
							       ? counter - newest(m)->counter
							       : (uint64_t)holdover);
	m->line = line;
}

/* The clock was set, or is new: what was learnt of its frequency may still be true. */
static void begin_anew(struct vrtc_phc_model *m, const struct vrtc_phc_look *look)
{
	m->n = 0;
	m->first = 0;
	add(m, look);
	m->estimate_ns = 0;
	m->low_ns = -(double)look->half_ns;
	m->high_ns = (double)look->half_ns;
}

/* What a look showed that neither bracket nor interval explain, in ns; and the interval after. */
static double cut(struct vrtc_phc_model *m, const struct vrtc_phc_look *look)
{
	double counts = (double)(look->counter - newest(m)->counter);
	double moved = (double)(newest(m)->time_ns - look->time_ns) + m->rate * counts;
	double doubt = (m->rate_doubt + m->allowance * m->rate) * counts;
	double low = moved + m->low_ns - doubt;
	double high = moved + m->high_ns + doubt;
	double half = (double)look->half_ns;

	if (low > half)
		return low - half;
	if (high < -half)
		return high + half;
	m->low_ns = max(low, -half);
	m->high_ns = -max(-high, -half);
	return 0;
}

static void learn(struct vrtc_phc_model *m, double unexplained_ns, double counts)
{
	double seen =
		2 * (max(unexplained_ns, -unexplained_ns) / (m->rate * counts) + m->allowance);

	m->allowance -= (m->allowance - ALLOWANCE_MIN) / FORGET_LOOKS;
	if (unexplained_ns != 0 && seen > m->allowance)
		m->allowance = seen;
}

static bool is_rate(double rate)
{
	return rate > 0 && rate < RATE_MAX;
}

static bool is_expired(const struct vrtc_phc_model *m, uint64_t counter)
{
	return counter - m->line.counter0 > m->line.counts_max || m->line.counts_max == 0;
}

static enum vrtc_phc_change first_looks(
	struct vrtc_phc_model *m, const struct vrtc_phc_look *look, uint64_t counter_now)
{
	double estimate, off;
	bool is_step;

	if (m->n == 0) {
		begin_anew(m, look);
		return VRTC_PHC_NOT_YET;
	}
	add(m, look);
	estimate = fit(m);
	if (!is_rate(m->rate) || m->rate < 10 * m->rate_doubt) {
		/* It was set meanwhile, or the brackets are too wide for so short a time. */
		if (m->rate + m->rate_doubt <= 0)
			begin_anew(m, look);
		return VRTC_PHC_NOT_YET;
	}
	m->known = true;
	m->low_ns = -(double)look->half_ns;
	m->high_ns = (double)look->half_ns;
	m->estimate_ns = clamp(estimate, m->low_ns, m->high_ns);
	if (is_expired(m, counter_now)) {
		draw(m, counter_now, false);
		return VRTC_PHC_FIRST;
	}
	off = line_off(m, counter_now);
	is_step = max(off, -off) > VRTC_PHC_STEP_NS + (double)look->half_ns;
	draw(m, counter_now, !is_step);
	m->step_ns = (int64_t)-off;
	return is_step ? VRTC_PHC_STEP : VRTC_PHC_NOTHING_NEW;
}

enum vrtc_phc_change vrtc_phc_model_look(
	struct vrtc_phc_model *m, const struct vrtc_phc_look *look, uint64_t counter_now)
{
	double unexplained, counts, estimate;
	bool expired;

	if (look->time_ns > TIME_NS_MAX || look->time_ns < -TIME_NS_MAX || look->half_ns < 1 ||
		(int64_t)(counter_now - look->counter) < 0)
		return VRTC_PHC_REFUSED;
	if (m->n > 0 && (int64_t)(look->counter - newest(m)->counter) <= 0) {
		if (++m->refused == VRTC_PHC_REFUSED_MAX)
			vrtc_phc_model_forget(m);
		return VRTC_PHC_REFUSED;
	}
	m->refused = 0;
	if (!m->known)
		return first_looks(m, look, counter_now);

	expired = is_expired(m, counter_now);
	counts = (double)(look->counter - newest(m)->counter);
	unexplained = cut(m, look);
	if (max(unexplained, -unexplained) > VRTC_PHC_STEP_NS) {
		m->step_ns = (int64_t)-unexplained;
		begin_anew(m, look);
		m->rate_doubt += m->allowance * m->rate;
		draw(m, counter_now, false);
		return expired ? VRTC_PHC_FIRST : VRTC_PHC_STEP;
	}
	add(m, look);
	if (unexplained != 0) {
		/* The frequency is another one: what is older says nothing of it. */
		keep(m, 2);
		m->low_ns = -(double)look->half_ns;
		m->high_ns = (double)look->half_ns;
	}
	learn(m, unexplained, counts);
	estimate = fit(m);
	if (!is_rate(m->rate)) {
		vrtc_phc_model_forget(m);
		begin_anew(m, look);
		return VRTC_PHC_NOT_YET;
	}
	m->estimate_ns = clamp(estimate, m->low_ns, m->high_ns);
	draw(m, counter_now, !expired);
	return expired ? VRTC_PHC_FIRST : VRTC_PHC_NOTHING_NEW;
}

int64_t vrtc_phc_model_error_ns(const struct vrtc_phc_model *m, uint64_t counter)
{
	int64_t counts = (int64_t)(counter - m->line.counter0);
	double since, off, error;

	if (!m->known || m->n == 0 || counts < 0 || (uint64_t)counts > m->line.counts_max)
		return INT64_MAX;
	since = (double)(int64_t)(counter - newest(m)->counter);
	off = line_off(m, counter);
	error = max(m->high_ns - m->estimate_ns, m->estimate_ns - m->low_ns) + max(off, -off) +
		(m->rate_doubt + m->allowance * m->rate) * since;
	/* Readings are rounded down to a ns, twice. */
	return error < 1e18 ? (int64_t)error + 2 : INT64_MAX;
}

double vrtc_phc_model_frequency_ppb(const struct vrtc_phc_model *m, double hz)
{
	return m->known ? (m->rate * hz / 1e9 - 1) * 1e9 : 0;
}
