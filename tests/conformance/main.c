/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk-rtc-conformance: holds a vhost-user RTC device, ours or another's, against VIRTIO 1.4,
 * statement by statement. README.md beside this file is its page.
 *
 * Exit status: 0 nothing failed; 1 something did, or wrong usage, or no device.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "wire.h"

static const char help[] =
	"usage: dpdk-rtc-conformance [OPTION...] SOCKET\n"
	"Tests a vhost-user RTC device against the device-normative statements of VIRTIO 1.4, and\n"
	"reports in TAP, a test point a statement. The device must not be in use by a VM; its alarms\n"
	"are set and cleared.\n"
	"\n"
	"  --json=FILE         a report in JSON besides\n"
	"  --only=ID[,ID...]   these statements alone (RTC-READ-3; RTC-READ is all of them)\n"
	"  --list              the statements, and the cases and tests that show each\n"
	"  --without=NAME,...  do not negotiate: alarm, indirect, event-idx\n"
	"  --queue-size=N      entries of the rings, a power of two from 2 to 32768 (256)\n"
	"  --indirect          requests in indirect tables\n"
	"  --sleep             wait for answers on the call eventfd instead of polling\n"
	"  --counter-map       say what the guest's counter is, as qemu-glue's QEMU does\n"
	"  --timeout=MS        for an answer (2000)\n"
	"  --help, --version\n";

static struct conform c;
static struct report_choice choice;

/* A mistake in the arguments: one line. */
static int wrong(const char *option, const char *value, const char *accepted)
{
	fprintf(stderr, "dpdk-rtc-conformance: %s%s: %s\n", option, value, accepted);
	return -1;
}

static bool matches(const char *id, const char *word, size_t length)
{
	return strncmp(id, word, length) == 0 && (id[length] == '\0' || id[length] == '-');
}

static int choose(const char *list)
{
	memset(&choice, 0, sizeof(choice));
	while (*list) {
		size_t length = strcspn(list, ",");
		bool found = false;

		for (unsigned int id = 0; id < conform_n_statements; id++) {
			if (length == 0 || !matches(conform_statements[id].id, list, length))
				continue;
			choice.statement[id] = true;
			found = true;
		}
		if (!found)
			return wrong("--only=", list, "no such statement; see --list");
		list += length;
		list += *list == ',';
	}
	return 0;
}

static int parse_without(const char *list)
{
	static const struct {
		const char *name;
		unsigned int bit;
	} known[] = {
		{"alarm", VIRTIO_RTC_F_ALARM},
		{"indirect", VFE_F_INDIRECT_DESC},
		{"event-idx", VFE_F_EVENT_IDX},
	};

	while (*list) {
		size_t length = strcspn(list, ",");
		unsigned int i = 0;

		while (i < 3 && (strlen(known[i].name) != length ||
					strncmp(list, known[i].name, length) != 0))
			i++;
		if (i == 3)
			return wrong("--without=", list, "accepted are alarm, indirect, event-idx");
		c.options.without |= UINT64_C(1) << known[i].bit;
		list += length;
		list += *list == ',';
	}
	return 0;
}

static int parse_number(const char *option, const char *text, unsigned long max, unsigned long *out)
{
	char *after;

	errno = 0;
	*out = strtoul(text, &after, 10);
	if (errno || *text < '0' || *text > '9' || *after || *out == 0 || *out > max)
		return wrong(option, text, "a whole number above 0 is accepted, and not so large");
	return 0;
}

static void list_statements(void)
{
	for (unsigned int id = 0; id < conform_n_statements; id++) {
		const struct conform_statement *s = &conform_statements[id];

		printf("%s %s: %s\n", s->id, s->level, s->text);
		for (unsigned int i = 0; i < conform_n_cases; i++)
			if (s->cases >> i & 1)
				printf("\tcase %s\n", conform_cases[i].name);
		if (*s->tests)
			printf("\ttest %s\n", s->tests);
	}
}

/* 0: run; 1: done; -1: wrong usage, said. */
static int parse_arguments(int argc, char **argv, const char **json)
{
	enum { JSON = 1, ONLY, LIST, WITHOUT, SIZE, INDIRECT, SLEEP, MAP, TIMEOUT, HELP, VERSION };
	static const struct option options[] = {
		{"json", required_argument, NULL, JSON},
		{"only", required_argument, NULL, ONLY},
		{"list", no_argument, NULL, LIST},
		{"without", required_argument, NULL, WITHOUT},
		{"queue-size", required_argument, NULL, SIZE},
		{"indirect", no_argument, NULL, INDIRECT},
		{"sleep", no_argument, NULL, SLEEP},
		{"counter-map", no_argument, NULL, MAP},
		{"timeout", required_argument, NULL, TIMEOUT},
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, VERSION},
		{NULL, 0, NULL, 0},
	};
	unsigned long number = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		int bad = 0;

		switch (opt) {
		case JSON:
			*json = optarg;
			break;
		case ONLY:
			bad = choose(optarg);
			break;
		case LIST:
			list_statements();
			return 1;
		case WITHOUT:
			bad = parse_without(optarg);
			break;
		case SIZE:
			bad = parse_number("--queue-size=", optarg, VFE_RING_SIZE_MAX, &number);
			/* A chain may not be longer than its queue, and a request needs two. */
			if (!bad && (number == 1 || (number & (number - 1)) != 0))
				bad = wrong("--queue-size=", optarg,
					"a power of two is accepted, 2 to 32768");
			c.options.ring_size = (uint16_t)number;
			break;
		case INDIRECT:
			c.options.indirect = true;
			break;
		case SLEEP:
			c.options.sleep = true;
			break;
		case MAP:
			c.options.counter_map = true;
			break;
		case TIMEOUT:
			bad = parse_number("--timeout=", optarg, 3600000, &number);
			c.options.timeout_ms = (unsigned int)number;
			break;
		case HELP:
			fputs(help, stdout);
			return 1;
		case VERSION:
			puts("dpdk-rtc-conformance " CONFORM_VERSION);
			return 1;
		default:
			/* getopt has said which option, in one line. */
			bad = -1;
		}
		if (bad)
			return -1;
	}
	if (optind + 1 != argc)
		return wrong("SOCKET", "", "exactly one is needed; see --help");
	if (c.options.indirect && c.options.without >> VFE_F_INDIRECT_DESC & 1)
		return wrong("--without=", "indirect", "indirect tables are asked for");
	c.options.socket_path = argv[optind];
	return 0;
}

int main(int argc, char **argv)
{
	const char *json = NULL;
	unsigned int failed;
	uint64_t cases = 0;
	int err;

	c.options.timeout_ms = 2000;
	for (unsigned int id = 0; id < conform_n_statements; id++)
		choice.statement[id] = true;
	err = parse_arguments(argc, argv, &json);
	if (err)
		return err < 0;
	if (conform_discover(&c)) {
		printf("Bail out! %s\n", c.broken.came);
		fprintf(stderr, "dpdk-rtc-conformance: %s: %s\n", c.options.socket_path,
			c.broken.came);
		conform_close(&c);
		return 1;
	}
	for (unsigned int id = 0; id < conform_n_statements; id++)
		if (choice.statement[id])
			cases |= conform_statements[id].cases;
	conform_run(&c, cases);
	failed = report_tap(&c, &choice, stdout);
	if (fflush(stdout) != 0) {
		fprintf(stderr, "dpdk-rtc-conformance: standard output: %s\n", strerror(errno));
		return 1;
	}
	err = json ? report_json(&c, &choice, json) : 0;
	if (err) {
		fprintf(stderr, "dpdk-rtc-conformance: %s: %s\n", json, strerror(-err));
		return 1;
	}
	return failed > 0;
}
