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
/* More than brackets of that size hide. */
#define JUMP_HALVES   4
/* What a servo may slew a clock by, in ns a ns. What moves faster was set. */
#define SLEW_MAX      0.1
/* By how much more than it seems, since it began somewhere between two looks. */
#define SLEW_DOUBT    4

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
	m->is_jump = false;
	m->steps = 0;
}

/* Nor is the line of any use. */
static void lose(struct vrtc_phc_model *m)
{
	vrtc_phc_model_forget(m);
	memset(&m->line, 0, sizeof(m->line));
	m->go_on = false;
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

/* The estimate at a counter, as a time and a rest. */
static double estimate_at(const struct vrtc_phc_estimate *e, uint64_t counter, int64_t *time_ns)
{
	double ns = e->ns + e->rate * (double)(int64_t)(counter - e->counter);
	int64_t whole_ns = (int64_t)ns;

	*time_ns = e->time_ns + whole_ns;
	return ns - (double)whole_ns;
}

/* A line minus an estimate, in ns; 0 where the line is good for nothing. */
static double line_off(
	const struct vrtc_phc_line *line, const struct vrtc_phc_estimate *e, uint64_t counter)
{
	int64_t estimate_ns;
	__int128 since_time0;
	double rest;

	if (!vrtc_phc_line_at_exactly(line, counter, &since_time0))
		return 0;
	rest = estimate_at(e, counter, &estimate_ns);
	return (double)(line->time0_ns - estimate_ns) + (double)since_time0 / RATE_ONE - rest;
}

static uint64_t counts_of_ns(const struct vrtc_phc_model *m, double ns)
{
	return (uint64_t)(ns / m->claim.rate);
}

/*
 * Where a line that goes on begins: a little ahead, so that it is published by then. What is in
 * front of that is one piece of the line before.
 */
static uint64_t beginning(const struct vrtc_phc_model *m, uint64_t counter_now)
{
	uint64_t counter = counter_now + counts_of_ns(m, VRTC_PHC_LEAD_NS);
	uint64_t bend = m->before.counter0 + m->before.bend;

	if ((int64_t)(bend - counter_now) > 0 && (int64_t)(counter - bend) > 0)
		return bend;
	if ((int64_t)(m->before.counter0 - counter_now) > 0 &&
		(int64_t)(counter - m->before.counter0) > 0)
		return m->before.counter0;
	return counter;
}

/* The rate of a line just before a counter. */
static int64_t rate_before(const struct vrtc_phc_line *line, uint64_t counter)
{
	int64_t counts = (int64_t)(counter - line->counter0);

	if (counts <= 0)
		return line->before_rate;
	return (uint64_t)counts <= line->bend ? line->bent_rate : line->rate;
}

/* A line that begins at the estimate, or goes on from the one before. */
static void draw_line(struct vrtc_phc_model *m, uint64_t counter_now)
{
	const struct vrtc_phc_estimate *e = &m->claim;
	struct vrtc_phc_line line = {.counter0 = counter_now};
	uint64_t holdover = counts_of_ns(m, (double)m->holdover_ns);
	double bend = 2 * VRTC_PHC_LOOK_NS / e->rate;
	double off = 0;
	__int128 since_time0;
	uint64_t since;

	line.rate = (int64_t)(e->rate * RATE_ONE);
	line.before_rate = line.rate;
	if (m->go_on)
		line.counter0 = beginning(m, counter_now);
	if (m->go_on && vrtc_phc_line_at_exactly(&m->before, line.counter0, &since_time0)) {
		line.time0_ns = m->before.time0_ns + (int64_t)(since_time0 >> VRTC_PHC_RATE_SHIFT);
		line.fraction = (uint64_t)since_time0 & ((UINT64_C(1) << VRTC_PHC_RATE_SHIFT) - 1);
		line.before_rate = rate_before(&m->before, line.counter0);
		off = line_off(&m->before, e, line.counter0);
		/* In two looks' time, or as fast as is decent. */
		if (max(off, -off) > BEND_MAX * bend * e->rate)
			bend = max(off, -off) / (BEND_MAX * e->rate);
	} else {
		double rest = estimate_at(e, line.counter0, &line.time0_ns);

		if (rest < 0) {
			rest += 1;
			line.time0_ns--;
		}
		line.fraction = (uint64_t)(rest * RATE_ONE);
	}
	line.bend = (uint64_t)bend;
	line.bent_rate = (int64_t)((e->rate - off / bend) * RATE_ONE);
	since = line.counter0 - e->counter;
	line.counts_max = since < holdover ? holdover - since : 0;
	m->line = line;
}

/* A new line by what is known now. */
static void draw(struct vrtc_phc_model *m, uint64_t counter_now, bool go_on)
{
	m->claim = (struct vrtc_phc_estimate){
		.counter = newest(m)->counter,
		.time_ns = newest(m)->time_ns,
		.ns = m->estimate_ns,
		.low_ns = m->low_ns,
		.high_ns = m->high_ns,
		.rate = m->rate,
		.doubt = m->rate_doubt + m->allowance * m->rate,
	};
	m->before = m->line;
	m->go_on = go_on;
	draw_line(m, counter_now);
}

bool vrtc_phc_model_is_in_time(const struct vrtc_phc_model *m, uint64_t counter_now)
{
	uint64_t lead = counts_of_ns(m, VRTC_PHC_LEAD_MIN_NS);

	return !m->go_on || (int64_t)(m->line.counter0 - counter_now) >= (int64_t)lead;
}

void vrtc_phc_model_redraw(struct vrtc_phc_model *m, uint64_t counter_now)
{
	draw_line(m, counter_now);
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
	__int128 since_time0;

	return !vrtc_phc_line_at_exactly(&m->line, counter, &since_time0);
}

/* Whether the frequency by the looks so far can be one, and is known well enough to be of use. */
static bool is_rate_of_use(const struct vrtc_phc_model *m)
{
	return is_rate(m->rate) && m->rate >= 10 * m->rate_doubt;
}

/* The interval is the newest look's bracket; what the others say of it is more likely. */
static void take_bracket(struct vrtc_phc_model *m, double estimate)
{
	m->low_ns = -(double)newest(m)->half_ns;
	m->high_ns = (double)newest(m)->half_ns;
	m->estimate_ns = clamp(estimate, m->low_ns, m->high_ns);
}

/* One look makes a time, two a frequency; a third one agrees with both, or the clock was set. */
static enum vrtc_phc_change first_looks(
	struct vrtc_phc_model *m, const struct vrtc_phc_look *look, uint64_t counter_now)
{
	bool agrees = m->n >= 2 && is_rate_of_use(m) && cut(m, look) == 0;
	double estimate, off;
	bool is_step;

	if (m->n == 0) {
		begin_anew(m, look);
		return VRTC_PHC_NOT_YET;
	}
	if (m->n >= 2 && is_rate_of_use(m) && !agrees)
		keep(m, 1);
	add(m, look);
	estimate = fit(m);
	take_bracket(m, estimate);
	if (m->rate + m->rate_doubt <= 0)
		begin_anew(m, look);
	if (!agrees || !is_rate_of_use(m))
		return VRTC_PHC_NOT_YET;

	m->known = true;
	if (is_expired(m, counter_now)) {
		draw(m, counter_now, false);
		return VRTC_PHC_FIRST;
	}
	draw(m, counter_now, true);
	off = line_off(&m->before, &m->claim, counter_now);
	is_step = max(off, -off) > VRTC_PHC_STEP_NS + (double)look->half_ns;
	if (!is_step)
		return VRTC_PHC_NOTHING_NEW;
	m->go_on = false;
	draw_line(m, counter_now);
	m->step_ns = (int64_t)-off;
	return VRTC_PHC_STEP;
}

/* The clock moved by more than its frequency explains. */
static enum vrtc_phc_change step(struct vrtc_phc_model *m, const struct vrtc_phc_look *look,
	uint64_t counter_now, double unexplained)
{
	double by_rate =
		max(unexplained, -unexplained) / (double)(look->counter - newest(m)->counter);
	bool expired = is_expired(m, counter_now);

	if (++m->steps == VRTC_PHC_STEPS_MAX) {
		lose(m);
		begin_anew(m, look);
		return VRTC_PHC_ANEW;
	}
	m->step_ns = (int64_t)-unexplained;
	/* It was set, or it is slewed, perhaps since a moment ago: the next look tells. */
	if (by_rate <= SLEW_MAX * m->rate)
		m->rate_doubt += SLEW_DOUBT * by_rate;
	begin_anew(m, look);
	m->is_jump = false;
	m->rate_doubt += m->allowance * m->rate;
	draw(m, counter_now, false);
	return expired ? VRTC_PHC_FIRST : VRTC_PHC_STEP;
}

static bool has_begun_anew(struct vrtc_phc_model *m, uint64_t counter_now)
{
	bool is_behind = (int64_t)(counter_now - m->counter_now) < 0;

	m->counter_now = counter_now;
	return is_behind;
}

enum vrtc_phc_change vrtc_phc_model_no_look(struct vrtc_phc_model *m, uint64_t counter_now)
{
	if (!has_begun_anew(m, counter_now))
		return VRTC_PHC_NOTHING_NEW;
	lose(m);
	return VRTC_PHC_ANEW;
}

enum vrtc_phc_change vrtc_phc_model_look(
	struct vrtc_phc_model *m, const struct vrtc_phc_look *look, uint64_t counter_now)
{
	double unexplained, counts, estimate;
	bool expired;

	if (has_begun_anew(m, counter_now)) {
		lose(m);
		return VRTC_PHC_ANEW;
	}
	if (look->time_ns > TIME_NS_MAX || look->time_ns < -TIME_NS_MAX || look->half_ns < 1 ||
		(int64_t)(counter_now - look->counter) < 0 ||
		(m->n > 0 && (int64_t)(look->counter - newest(m)->counter) <= 0))
		return VRTC_PHC_REFUSED;
	if (!m->known)
		return first_looks(m, look, counter_now);

	expired = is_expired(m, counter_now);
	counts = (double)(look->counter - newest(m)->counter);
	unexplained = cut(m, look);
	if (max(unexplained, -unexplained) > VRTC_PHC_STEP_NS)
		return step(m, look, counter_now, unexplained);
	m->steps = 0;
	add(m, look);
	/* The frequency is another one: what is older says nothing of it. */
	if (unexplained != 0 || m->is_jump)
		keep(m, 2);
	if (unexplained != 0)
		take_bracket(m, 0);
	/* If by much, the look before this one says nothing of it either, nor if it was set. */
	m->is_jump = max(unexplained, -unexplained) > JUMP_HALVES * (double)look->half_ns;
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
	const struct vrtc_phc_estimate *e = &m->claim;
	double since, off, error;

	if (is_expired(m, counter))
		return INT64_MAX;
	since = (double)(int64_t)(counter - e->counter);
	off = line_off(&m->line, e, counter);
	error = max(e->high_ns - e->ns, e->ns - e->low_ns) + max(off, -off) + e->doubt * since;
	/* Readings are rounded down to a ns, twice. */
	return error < 1e18 ? (int64_t)error + 2 : INT64_MAX;
}

double vrtc_phc_model_frequency_ppb(const struct vrtc_phc_model *m, double hz)
{
	return m->known ? (m->rate * hz / 1e9 - 1) * 1e9 : 0;
}
