/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operator's arguments and file (app/config*.c), which whoever orchestrates guests may fill in
 * with names of their guests'.
 *
 * Input: text. Lines up to one that is "%%" are the arguments, and what is behind it is the file,
 * which takes the place of any file that --config names: a fuzzer shall not read /dev/tty.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "fuzz.h"

#define ARGUMENTS_MAX 24
#define ERROR_BYTES   1024
#define FILE_OPTION   "--config"

static int file_fd = -1;
static char file_path[64];

static void put_file(const char *text, size_t bytes)
{
	if (file_fd < 0) {
		file_fd = memfd_create("fuzz-config", MFD_CLOEXEC);
		FUZZ_CHECK(file_fd >= 0);
		snprintf(file_path, sizeof(file_path), "/proc/self/fd/%d", file_fd);
	}
	FUZZ_CHECK(ftruncate(file_fd, 0) == 0);
	FUZZ_CHECK(pwrite(file_fd, text, bytes, 0) == (ssize_t)bytes);
}

/* Each argument on the heap by itself, so that a sanitizer sees a read beyond it. */
static int take_arguments(const char **text, const char *end, char **argv)
{
	int argc = 0;

	argv[argc++] = strdup("dpdk-rtc");
	while (*text < end && argc < ARGUMENTS_MAX) {
		const char *newline = memchr(*text, '\n', (size_t)(end - *text));
		size_t bytes = (size_t)((newline ? newline : end) - *text);
		char *arg =
			fuzz_copy(*text, bytes + 1 <= (size_t)(end - *text) ? bytes + 1 : bytes);
		char *longer = realloc(arg, bytes + 1);
		bool last;

		FUZZ_CHECK(longer);
		arg = longer;
		arg[bytes] = '\0';
		*text += bytes + (newline != NULL);
		last = strcmp(arg, "%%") == 0;
		if (last) {
			free(arg);
			break;
		}
		if (strcmp(argv[argc - 1], FILE_OPTION) == 0 && strncmp(arg, "--", 2) != 0) {
			free(arg);
			arg = strdup(file_path);
		} else if (strncmp(arg, FILE_OPTION "=", sizeof(FILE_OPTION)) == 0) {
			free(arg);
			FUZZ_CHECK(asprintf(&arg, FILE_OPTION "=%s", file_path) > 0);
		}
		argv[argc++] = arg;
	}
	argv[argc] = NULL;
	return argc;
}

static void check_device(const struct app_config *config, unsigned at)
{
	const struct app_device_config *device = &config->device[at];
	size_t name_bytes = strnlen(device->name, sizeof(device->name));
	size_t path_bytes = strnlen(device->socket_path, sizeof(device->socket_path));

	FUZZ_CHECK(name_bytes > 0 && name_bytes <= APP_NAME_BYTES_MAX);
	for (size_t i = 0; i < name_bytes; i++)
		FUZZ_CHECK(strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "._-",
			device->name[i]));
	FUZZ_CHECK(device->name[0] != '.' && device->name[0] != '-');
	FUZZ_CHECK(path_bytes > 0 && path_bytes < sizeof(device->socket_path));
	FUZZ_CHECK(device->n_clocks <= APP_CLOCKS_MAX);
	FUZZ_CHECK(strnlen(device->origin, APP_ORIGIN_BYTES) < APP_ORIGIN_BYTES);
	FUZZ_CHECK(strnlen(device->clocks_origin, APP_ORIGIN_BYTES) < APP_ORIGIN_BYTES);
	FUZZ_CHECK(strnlen(device->source_origin, APP_ORIGIN_BYTES) < APP_ORIGIN_BYTES);
	FUZZ_CHECK(strnlen(device->alarm_action, APP_ACTION_BYTES) < APP_ACTION_BYTES);
	FUZZ_CHECK(strnlen(device->phc, APP_PHC_BYTES) < APP_PHC_BYTES);
	for (unsigned c = 0; c < device->n_clocks; c++)
		FUZZ_CHECK(vrtc_clock_timebase(&device->clock[c]) != VRTC_TIMEBASE_NONE);
	for (unsigned i = 0; i < at; i++) {
		FUZZ_CHECK(strcmp(config->device[i].name, device->name) != 0);
		FUZZ_CHECK(strcmp(config->device[i].socket_path, device->socket_path) != 0);
	}
}

static void check_config(const struct app_config *config)
{
	FUZZ_CHECK(config->n_eal >= 1 && config->eal[config->n_eal] == NULL);
	if (config->action != APP_RUN && config->action != APP_CHECK_CONFIG &&
		config->action != APP_CHECK_HOST)
		return;
	FUZZ_CHECK(config->n_devices >= 1 && config->n_devices <= APP_DEVICES_MAX);
	FUZZ_CHECK(config->leap_table);
	FUZZ_CHECK(config->phc_holdover_s >= 1 && config->phc_holdover_s <= APP_HOLDOVER_S_MAX);
	FUZZ_CHECK(!config->alarm_store_dir || config->alarm_store_dir[0] == '/');
	FUZZ_CHECK(config->alarm_lcores.n <= APP_ALARM_LCORES);
	for (unsigned i = 0; i < config->n_devices; i++)
		check_device(config, i);
	(void)app_config_has_alarms(config);
}

/* One printable line, and room for more. */
static void check_error(const char *error)
{
	size_t bytes = strnlen(error, ERROR_BYTES);

	FUZZ_CHECK(bytes > 0 && bytes < ERROR_BYTES - 1);
	for (size_t i = 0; i < bytes; i++)
		FUZZ_CHECK((unsigned char)error[i] >= ' ' && error[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const char *text = (const char *)data;
	const char *end = text + bytes;
	char *argv[ARGUMENTS_MAX + 1];
	char error[ERROR_BYTES];
	struct app_config config;
	char *again;
	int argc;
	int rc;

	put_file("", 0);
	argc = take_arguments(&text, end, argv);
	put_file(text, (size_t)(end - text));
	memset(error, 'x', sizeof(error));
	rc = app_config_parse(&config, argc, argv, error, sizeof(error));
	FUZZ_CHECK(rc == 0 || rc == -EINVAL);
	if (rc == 0) {
		check_config(&config);
		app_config_free(&config);
	} else {
		check_error(error);
		/* Into less room: the beginning of it. */
		again = malloc(8);
		FUZZ_CHECK(again);
		FUZZ_CHECK(app_config_parse(&config, argc, argv, again, 8) == -EINVAL);
		FUZZ_CHECK(strnlen(again, 8) < 8 && strncmp(again, error, strlen(again)) == 0);
		free(again);
		FUZZ_CHECK(app_config_parse(&config, argc, argv, NULL, 0) == -EINVAL);
	}
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return 0;
}
