/* SPDX-License-Identifier: BSD-3-Clause */
#include "result.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* One of the object's arrays, as far as it has come. */
struct array {
	const char *name;
	FILE *to;
	char *text;
	size_t bytes;
};

enum { SERIES, VALUES, RATIOS, NOISE, ARRAYS };

struct perf_result {
	const char *program;
	const char *question;
	const char *path;
	double ns_per_cycle;
	struct array array[ARRAYS];
};

static void give_up(const struct perf_result *r, const char *what)
{
	fprintf(stderr, "dpdk-rtc-%s: %s: %s\n", r->program, what, strerror(errno));
	exit(1);
}

struct perf_result *perf_result_begin(const char *program, const char *question, const char *path)
{
	static const char *const names[ARRAYS] = {"series", "values", "ratios", "noise"};
	static struct perf_result only;
	struct perf_result *r = &only;

	*r = (struct perf_result){.program = program, .question = question, .path = path};
	for (int i = 0; i < ARRAYS; i++) {
		r->array[i].name = names[i];
		r->array[i].to = open_memstream(&r->array[i].text, &r->array[i].bytes);
		if (!r->array[i].to)
			give_up(r, "open_memstream");
	}
	printf("%s\n", question);
	return r;
}

void perf_result_set_tsc(struct perf_result *r, double ns_per_cycle)
{
	r->ns_per_cycle = ns_per_cycle;
}

void perf_result_head(struct perf_result *r, const char *fmt, ...)
{
	va_list args;

	(void)r;
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n%-34s %9s %9s %9s %9s %9s %9s %11s\n", "", "min", "p50", "p90", "p99", "p99.9",
		"p99.99", "max");
}

static FILE *next(struct perf_result *r, int which)
{
	FILE *to = r->array[which].to;

	if (ftell(to) > 0)
		fputs(",\n", to);
	return to;
}

/* Names are ours, but a name may have a path in it. */
static void write_text(FILE *to, const char *name, const char *text)
{
	fprintf(to, "\"%s\": \"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		if ((unsigned char)*text < ' ')
			fprintf(to, "\\u%04x", *text);
		else
			fputc(*text, to);
	}
	fputs("\", ", to);
}

static void print_row(const char *name, const struct perf_histogram *h, double unit)
{
	static const double quantile[] = {0, 0.5, 0.9, 0.99, 0.999, 0.9999};
	int digits = (double)perf_histogram_quantile(h, 0.5) * unit < 20 ? 1 : 0;

	printf("%-34s", name);
	for (size_t i = 0; i < sizeof(quantile) / sizeof(quantile[0]); i++)
		printf(" %9.*f", digits, (double)perf_histogram_quantile(h, quantile[i]) * unit);
	printf(" %11.*f ns\n", digits, (double)h->max * unit);
}

void perf_result_series(struct perf_result *r, const char *name, const char *group,
	const char *role, const struct perf_histogram *h, double unit)
{
	FILE *to = next(r, SERIES);

	print_row(name, h, unit);
	fputc('{', to);
	write_text(to, "name", name);
	write_text(to, "group", group);
	write_text(to, "role", role);
	fputs("\"unit\": \"ns\", ", to);
	perf_histogram_write_json(h, to, unit);
	fputc('}', to);
}

void perf_result_value(
	struct perf_result *r, const char *name, const char *group, double value, const char *unit)
{
	FILE *to = next(r, VALUES);

	printf("%-54s %12.*f %s\n", name, value < 100 ? 2 : 0, value, unit);
	fputc('{', to);
	write_text(to, "name", name);
	write_text(to, "group", group);
	write_text(to, "unit", unit);
	fprintf(to, "\"value\": %.6g}", value);
}

void perf_result_ratio(struct perf_result *r, const char *name, double value, double goal)
{
	FILE *to = next(r, RATIOS);

	printf("%-54s %12.2f", name, value);
	fputc('{', to);
	write_text(to, "name", name);
	if (goal > 0) {
		printf("   (goal: %.2f)", goal);
		fprintf(to, "\"goal\": %.6g, ", goal);
	}
	putchar('\n');
	fprintf(to, "\"value\": %.6g}", value);
}

void perf_result_ratios(struct perf_result *r, const char *name, const struct perf_histogram *h,
	const struct perf_histogram *base, double goal_p50, double goal_p99, double goal_p999)
{
	const struct {
		const char *name;
		double quantile, goal;
	} points[] = {{"p50", 0.5, goal_p50}, {"p99", 0.99, goal_p99}, {"p99.9", 0.999, goal_p999}};

	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		double under = (double)perf_histogram_quantile(base, points[i].quantile);
		char text[160];

		if (under <= 0)
			continue;
		snprintf(text, sizeof(text), "%s, %s", name, points[i].name);
		perf_result_ratio(r, text,
			(double)perf_histogram_quantile(h, points[i].quantile) / under,
			points[i].goal);
	}
}

void perf_result_noise(
	struct perf_result *r, int cpu, const struct perf_histogram *gaps, double unit)
{
	FILE *to = next(r, NOISE);
	char name[80];

	snprintf(name, sizeof(name), "the machine's noise, CPU %d", cpu);
	print_row(name, gaps, unit);
	fprintf(to, "{\"cpu\": %d, \"seconds\": %.3f, \"series\": {", cpu, gaps->sum * unit / 1e9);
	write_text(to, "name", name);
	write_text(to, "group", "noise");
	write_text(to, "role", "noise");
	fputs("\"unit\": \"ns\", ", to);
	perf_histogram_write_json(gaps, to, unit);
	fputs("}}", to);
}

void perf_result_end(struct perf_result *r)
{
	FILE *file = r->path ? fopen(r->path, "we") : NULL;

	if (r->path && !file)
		give_up(r, r->path);
	if (file) {
		fputs("{", file);
		write_text(file, "program", r->program);
		write_text(file, "question", r->question);
		fprintf(file, "\"tsc_mhz\": %.3f", r->ns_per_cycle > 0 ? 1e3 / r->ns_per_cycle : 0);
	}
	for (int i = 0; i < ARRAYS; i++) {
		struct array *a = &r->array[i];

		if (fclose(a->to))
			give_up(r, "memory");
		if (file)
			fprintf(file, ",\n\"%s\": [\n%s\n]", a->name, a->text);
		free(a->text);
	}
	if (file && (fputs("}\n", file) < 0 || fclose(file)))
		give_up(r, r->path);
}
