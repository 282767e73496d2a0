/* What the parts of the layer share. Nothing of it is visible to the program. */
#ifndef LAYER_H
#define LAYER_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

/* Whether anything is recorded or may fail; without it calls only pass. */
extern int active;
/* Held from a change to its record, so that both have one order. */
extern pthread_mutex_t order;

/* The absolute path of a name, with its folder's links resolved. */
const char *path_of(int folder, const char *name, char *out);
/* The path of an open file as the kernel knows it now; "" for pipes and the like. */
const char *path_of_fd(int fd, char *out);
/* Where in a path the part below the recorded folder begins. */
const char *inside_root(const char *path);

/* Whether changes of this path are recorded. */
int recorded(const char *path);
void record(char kind, const char *path, uint64_t offset, const void *data, uint64_t length);
/* A change that cannot be replayed: the reader of the record refuses it. */
void record_unknown(const char *call, const char *path);

/* 0, or the error that the call is to fail with. Runs the commands that are due. */
int verdict(const char *op, const char *path);
/* Whether any call may fail or run a command. */
int has_rules(void);
/* How many seconds the wall clock is slow at this question. */
long slow_by(void);

#pragma GCC visibility pop

#define FAIL_IF_TOLD(op, path)                                                                     \
    do {                                                                                           \
        int told = verdict(op, path);                                                              \
        if (told) {                                                                                \
            errno = told;                                                                          \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

#endif
