/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <errno.h>
#include <string.h>

static const char *const verdicts[] = {
	[CONFORM_OPEN] = "skip",
	[CONFORM_PASS] = "pass",
	[CONFORM_SKIP] = "skip",
	[CONFORM_FAIL] = "fail",
	[CONFORM_ELSEWHERE] = "elsewhere",
};

static unsigned int notes_of(const struct conform_result *r)
{
	return r->failures < CONFORM_NOTES ? r->failures : CONFORM_NOTES;
}

unsigned int report_tap(const struct conform *c, const struct report_choice *choice, FILE *out)
{
	unsigned int planned = 0;
	unsigned int number = 0;
	unsigned int failed = 0;

	for (unsigned int id = 0; id < conform_n_statements; id++)
		planned += choice->statement[id];
	fprintf(out, "TAP version 13\n1..%u\n", planned);
	for (unsigned int id = 0; id < conform_n_statements; id++) {
		const struct conform_statement *s = &conform_statements[id];
		const struct conform_result *r = &c->result[id];

		if (!choice->statement[id])
			continue;
		fprintf(out, "%s %u - %s %s: %s", r->verdict == CONFORM_FAIL ? "not ok" : "ok",
			++number, s->id, s->level, s->text);
		if (r->verdict == CONFORM_ELSEWHERE)
			fprintf(out, " # SKIP more than a socket is needed: %s", s->tests);
		else if (r->verdict != CONFORM_PASS && r->verdict != CONFORM_FAIL)
			fprintf(out, " # SKIP %s", r->reason);
		fputc('\n', out);
		failed += r->verdict == CONFORM_FAIL;
		for (unsigned int i = 0; i < notes_of(r); i++)
			fprintf(out, "#   wanted: %s\n#   came:   %s\n#   in:     case %s\n",
				r->note[i].wanted, r->note[i].came, r->note[i].in);
		if (r->failures > CONFORM_NOTES)
			fprintf(out, "#   and %u more of %u checks\n", r->failures - CONFORM_NOTES,
				r->checks);
		if (r->failures)
			fprintf(out, "#   read:   VIRTIO 1.4, %s\n", s->section);
	}
	return failed;
}

static void put_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '"' || byte == '\\')
			fprintf(out, "\\%c", byte);
		else if (byte < 0x20 || byte >= 0x7f)
			fprintf(out, "\\u%04x", byte);
		else
			fputc(byte, out);
	}
	fputc('"', out);
}

static void put_member(FILE *out, const char *name, const char *text)
{
	fprintf(out, ", \"%s\": ", name);
	put_string(out, text);
}

static void put_statement(
	FILE *out, const struct conform_statement *s, const struct conform_result *r)
{
	const char *between = "";

	fputs("{\"id\": ", out);
	put_string(out, s->id);
	put_member(out, "level", s->level);
	put_member(out, "section", s->section);
	put_member(out, "text", s->text);
	put_member(out, "verdict", verdicts[r->verdict]);
	fprintf(out, ", \"checks\": %u, \"failures\": %u", r->checks, r->failures);
	if (r->verdict == CONFORM_SKIP)
		put_member(out, "reason", r->reason);
	fputs(", \"cases\": [", out);
	for (unsigned int i = 0; i < conform_n_cases; i++) {
		if (!(s->cases >> i & 1))
			continue;
		fputs(between, out);
		put_string(out, conform_cases[i].name);
		between = ", ";
	}
	fputs("]", out);
	put_member(out, "tests", s->tests);
	fputs(", \"notes\": [", out);
	for (unsigned int i = 0; i < notes_of(r); i++) {
		fprintf(out, "%s{\"case\": ", i ? ", " : "");
		put_string(out, r->note[i].in);
		put_member(out, "wanted", r->note[i].wanted);
		put_member(out, "came", r->note[i].came);
		fputc('}', out);
	}
	fputs("]}", out);
}

int report_json(const struct conform *c, const struct report_choice *choice, const char *path)
{
	FILE *out = fopen(path, "we");
	const char *between = "";
	bool bad;

	if (!out)
		return -errno;
	fputs("{\"socket\": ", out);
	put_string(out, c->options.socket_path);
	fprintf(out, ", \"features_offered\": \"0x%llx\", \"clocks\": %u, \"statements\": [\n",
		(unsigned long long)c->offered, c->n_clocks);
	for (unsigned int id = 0; id < conform_n_statements; id++) {
		if (!choice->statement[id])
			continue;
		fputs(between, out);
		put_statement(out, &conform_statements[id], &c->result[id]);
		between = ",\n";
	}
	fputs("\n]}\n", out);
	bad = ferror(out) != 0;
	if (fclose(out) != 0)
		return -errno;
	return bad ? -EIO : 0;
}
