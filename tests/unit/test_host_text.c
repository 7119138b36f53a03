/* SPDX-License-Identifier: BSD-3-Clause */
/* host_text.[ch] and eal_options.[ch]: what the kernel and the operator write, understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "eal_options.h"
#include "host_text.h"

static void check_list(const char *text, const char *printed)
{
	char again[APP_HOST_TEXT_CPUS];
	cpu_set_t set;

	memset(&set, 0xa5, sizeof(set));
	if (!app_host_text_list(text, &set))
		fail_msg("\"%s\" is taken for no list", text);
	app_host_text_print_list(&set, again);
	assert_string_equal(again, printed);
}

static void lists_of_cpus_are_those_of_sysfs_and_of_kernel_parameters(void **state)
{
	(void)state;
	check_list("0", "0");
	check_list("0-3,8\n", "0-3,8");
	check_list("8,0-3,2", "0-3,8");
	check_list("2,3,4", "2-4");
	check_list("0-15:2/4", "0-1,4-5,8-9,12-13");
	check_list("100-1000000", "100-1023");
	check_list("all", "0-1023");
}

static void no_cpu_is_an_empty_line_or_what_the_kernel_makes_of_null(void **state)
{
	(void)state;
	check_list("", "");
	check_list("\n", "");
	check_list("(null)\n", "");
}

static void what_is_no_list_leaves_no_cpu(void **state)
{
	static const char *const bad[] = {"a", "0-", "-1", "3-2", "1,", ",1", "1;2", "1 2",
		"0-3:", "0-3:1", "0-3:1/", "0-3:1/0", "0-3:3/2", "10000000", "99999999999999999999",
		"allx", "(null", "managed_irq,domain,1"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cpu_set_t set;

		memset(&set, 0xa5, sizeof(set));
		if (app_host_text_list(bad[i], &set))
			fail_msg("\"%s\" is taken for a list", bad[i]);
		assert_int_equal(CPU_COUNT(&set), 0);
	}
}

static void check_mask(const char *text, const char *list, const char *printed)
{
	char again[APP_HOST_TEXT_CPUS];
	cpu_set_t set;

	memset(&set, 0xa5, sizeof(set));
	if (!app_host_text_mask(text, &set))
		fail_msg("\"%s\" is taken for no mask", text);
	app_host_text_print_list(&set, again);
	assert_string_equal(again, list);
	app_host_text_print_mask(&set, again);
	assert_string_equal(again, printed);
}

static void masks_of_cpus_have_the_last_group_first(void **state)
{
	(void)state;
	check_mask("3", "0-1", "3");
	check_mask("ff\n", "0-7", "ff");
	check_mask("1,00000000", "32", "1,00000000");
	check_mask("00000000,00000000,80000001", "0,31", "80000001");
	check_mask("ffffffff,ffffffff", "0-63", "ffffffff,ffffffff");
	check_mask("0", "", "0");
}

static void what_is_no_mask_leaves_no_cpu(void **state)
{
	static const char *const bad[] = {
		"", "\n", "g", "1,2", "123456789", ",00000001", "1,", "0x3", "1 2", "FF"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cpu_set_t set;

		memset(&set, 0xa5, sizeof(set));
		if (app_host_text_mask(bad[i], &set))
			fail_msg("\"%s\" is taken for a mask", bad[i]);
		assert_int_equal(CPU_COUNT(&set), 0);
	}
}

static void of_very_many_cpus_the_first_are_printed(void **state)
{
	char text[APP_HOST_TEXT_CPUS];
	cpu_set_t set;

	(void)state;
	CPU_ZERO(&set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu += 2)
		CPU_SET(cpu, &set);
	memset(text, 'E', sizeof(text));
	app_host_text_print_list(&set, text);
	assert_in_range(strnlen(text, sizeof(text)), 300, sizeof(text) - 1);
	assert_string_equal(text + strlen(text) - 3, "...");
	assert_int_equal(strncmp(text, "0,2,4,6,", 8), 0);
	/* All groups of a mask fit. */
	app_host_text_print_mask(&set, text);
	assert_int_equal(strlen(text), 32 * 9 - 1);
}

static void a_kernel_parameter_is_the_last_of_its_name_and_before_two_dashes(void **state)
{
	static const char line[] = "quiet rcu_nocbs=1 xrcu_nocbs=9 rcu_nocbs=2-3 nohz -- init=x "
				   "rcu_nocbs=7 late=1\n";
	char value[16];

	(void)state;
	assert_true(app_host_text_parameter(line, "rcu_nocbs", value, sizeof(value)));
	assert_string_equal(value, "2-3");
	assert_true(app_host_text_parameter(line, "nohz", value, sizeof(value)));
	assert_string_equal(value, "");
	assert_false(app_host_text_parameter(line, "late", value, sizeof(value)));
	assert_false(app_host_text_parameter(line, "rcu", value, sizeof(value)));
	assert_false(app_host_text_parameter("", "rcu", value, sizeof(value)));
	assert_true(app_host_text_parameter("a=0123456789", "a", value, 4));
	assert_string_equal(value, "012");
}

static void the_choice_is_what_stands_in_brackets(void **state)
{
	char word[16];

	(void)state;
	app_host_text_chosen("always [madvise] never", word, sizeof(word));
	assert_string_equal(word, "madvise");
	app_host_text_chosen("[always] madvise never", word, sizeof(word));
	assert_string_equal(word, "always");
	app_host_text_chosen("never\n", word, sizeof(word));
	assert_string_equal(word, "never");
	app_host_text_chosen("x [unfinished", word, sizeof(word));
	assert_string_equal(word, "unfinished");
}

static void a_word_is_whole_and_of_one_line(void **state)
{
	(void)state;
	assert_true(app_host_text_has_word("tsc kvm-clock ", "tsc"));
	assert_true(app_host_text_has_word("flags\t: fpu tsc", "tsc"));
	assert_false(app_host_text_has_word("constant_tsc tsc_adjust", "tsc"));
	assert_false(app_host_text_has_word("fpu\ntsc", "tsc"));
	assert_false(app_host_text_has_word("", "tsc"));
}

static void a_field_is_the_nth_number_of_the_line_of_that_name(void **state)
{
	static const char stat[] = "cpu  9 8 7\ncpu1 1 2 3 4\ncpu10 5\nMemFree:  77 kB\n";
	uint64_t value;

	(void)state;
	assert_true(app_host_text_field(stat, "cpu1", 0, &value));
	assert_int_equal(value, 1);
	assert_true(app_host_text_field(stat, "cpu1", 3, &value));
	assert_int_equal(value, 4);
	assert_false(app_host_text_field(stat, "cpu1", 4, &value));
	assert_true(app_host_text_field(stat, "cpu10", 0, &value));
	assert_int_equal(value, 5);
	assert_true(app_host_text_field(stat, "MemFree", 0, &value));
	assert_int_equal(value, 77);
	assert_false(app_host_text_field(stat, "MemFree", 1, &value));
	assert_false(app_host_text_field(stat, "cpu2", 0, &value));
	assert_null(app_host_text_line(stat, "pu1"));
	assert_null(app_host_text_line("", "cpu"));
}

/* What of these arguments is about lcores, with blanks between; and whether hugepages are asked. */
static void check_eal(const char *lcores, bool hugepages, int n, char **argv)
{
	const struct app_config config = {.n_eal = n, .eal = argv};
	char text[256] = "";
	char *picked[16];
	int n_picked = app_eal_options_lcores(&config, picked);

	assert_in_range(n_picked, 0, n);
	assert_null(picked[n_picked]);
	for (int i = 0; i < n_picked; i++) {
		strcat(text, i ? " " : "");
		strcat(text, picked[i]);
	}
	assert_string_equal(text, lcores);
	assert_int_equal(app_eal_options_hugepages(&config), hugepages);
}
#define EAL(lcores, hugepages, ...)                                                                \
	do {                                                                                       \
		char *eal_argv[] = {"dpdk-rtc", __VA_ARGS__, NULL};                                \
		check_eal(lcores, hugepages, (int)(sizeof(eal_argv) / sizeof(char *)) - 1,         \
			eal_argv);                                                                 \
	} while (0)

static void the_options_of_the_eal_about_lcores_are_picked_with_their_values(void **state)
{
	(void)state;
	EAL("-l 0,2", true, "-l", "0,2", "--in-memory");
	EAL("-l0-3", false, "--no-huge", "-l0-3", "-m", "64");
	EAL("--lcores=0@1,1@2 --main-lcore 1", true, "--file-prefix", "x", "--lcores=0@1,1@2",
		"--main-lcore", "1");
	EAL("-c 0x3", true, "-n", "4", "-c", "0x3", "--log-level=lib.eal:info");
	EAL("--lcore 0,1", true, "--lcore", "0,1");
	EAL("", true, "--legacy-mem", "--log-level", "5", "--match-allocations");
	/* Cut too short to say which. */
	EAL("", true, "--ma", "1");
	/* The value is missing, which is for the EAL to say. */
	EAL("-l", true, "-l");
}

static void without_options_of_the_eal_there_is_nothing_to_pick(void **state)
{
	static char program[] = "dpdk-rtc";
	char *argv[] = {program, NULL};

	(void)state;
	check_eal("", false, 1, argv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_cpus_are_those_of_sysfs_and_of_kernel_parameters),
		cmocka_unit_test(no_cpu_is_an_empty_line_or_what_the_kernel_makes_of_null),
		cmocka_unit_test(what_is_no_list_leaves_no_cpu),
		cmocka_unit_test(masks_of_cpus_have_the_last_group_first),
		cmocka_unit_test(what_is_no_mask_leaves_no_cpu),
		cmocka_unit_test(of_very_many_cpus_the_first_are_printed),
		cmocka_unit_test(a_kernel_parameter_is_the_last_of_its_name_and_before_two_dashes),
		cmocka_unit_test(the_choice_is_what_stands_in_brackets),
		cmocka_unit_test(a_word_is_whole_and_of_one_line),
		cmocka_unit_test(a_field_is_the_nth_number_of_the_line_of_that_name),
		cmocka_unit_test(the_options_of_the_eal_about_lcores_are_picked_with_their_values),
		cmocka_unit_test(without_options_of_the_eal_there_is_nothing_to_pick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
