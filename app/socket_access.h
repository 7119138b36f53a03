/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mode and owner of the sockets that we listen on, without an instant at which somebody else could
 * connect: rte_vhost binds and listens in one call, so the socket is made for our own user alone,
 * and is opened to others by steps of which each lets in nobody that the last would not.
 *
 * Main thread only; no allocation. Where neither mode nor owner are asked for, nothing is done.
 */
#ifndef APP_SOCKET_ACCESS_H
#define APP_SOCKET_ACCESS_H

#include <sys/types.h>

#include "config.h"

/*
 * Before the socket is bound: the process's umask is such that our user alone has access to what it
 * makes.
 *
 * @return  the umask of before, for app_socket_access_apply() or umask()
 */
mode_t app_socket_access_close(const struct app_device_config *d);

/*
 * After it was bound: undoes that, and gives the socket its mode and its owner. What was not asked
 * for is as it had been without any of this.
 *
 * @param before  what app_socket_access_close() returned
 * @param error   on failure one line that begins with d->access_origin
 * @return        0; -ENOENT, -EEXIST: somebody put something else in its place; -EPERM: only root
 *                can; another -errno
 */
int app_socket_access_apply(
	const struct app_device_config *d, mode_t before, char *error, unsigned error_bytes);

#endif
