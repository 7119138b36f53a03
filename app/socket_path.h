/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether a device's socket can be had, before anything is started: rte_vhost itself would only say
 * that a bind failed. And the one thing that is ever removed: a socket that nobody listens on, as a
 * daemon that was killed leaves it.
 *
 * Main thread; no allocation.
 */
#ifndef APP_SOCKET_PATH_H
#define APP_SOCKET_PATH_H

#include "config.h"

/*
 * In server mode: the folder is there and may be written to; the path is free, or a stale socket.
 * In client mode: the folder is there; the socket may come later.
 *
 * A socket that somebody listens on is told by connecting to it and closing at once. It is an
 * answer for now only: what happens to the path after it is for bind() to find out.
 *
 * @param error  on failure one line that begins with d->origin
 * @return       0; -ENOENT, -ENOTDIR, -EACCES: the folder; -EADDRINUSE: another process listens,
 *               or it cannot be told; -EEXIST: something else than a socket is there;
 *               -ENAMETOOLONG; another -errno of the machine
 */
int app_socket_check(const struct app_device_config *d, char *error, unsigned error_bytes);

/*
 * The same, and removes a stale socket. To be called right before the path is bound. In client mode
 * it does nothing.
 */
int app_socket_remove_stale(const struct app_device_config *d, char *error, unsigned error_bytes);

/*
 * Holds off other daemons of ours between the look at a path and listen(): a socket that is bound
 * and does not listen yet looks like one that was left behind. Given up after a second: the lock is
 * a courtesy, not worth a daemon that does not start.
 *
 * @return  a descriptor: close() ends the lock; -1 if the folder cannot be opened
 */
int app_socket_lock_folder(const struct app_device_config *d);

#endif
