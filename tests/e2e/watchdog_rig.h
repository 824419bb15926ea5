/* What the tests of the watchdog have in common: a service with an instrument cluster, its watches,
 * and questions about them. What cannot be answered is asserted.
 *
 * With E2E_WATCHDOG_KMS in the environment the cluster is a display of that card, and what is on it
 * is taken from E2E_WATCHDOG_SOURCE: "writeback" (of the hardware), "composed", "layer"
 * (tests/uml-host). */
#ifndef BN_E2E_WATCHDOG_RIG_H
#define BN_E2E_WATCHDOG_RIG_H

#include "cluster.h"
#include "harness.h"

#define SIDE TG_CLUSTER_TELLTALE
#define BOOT 0x203040u
#define COMMON 0x800000u  /* the output's fallback */
#define WARNING 0x900000u /* and those of watches */
#define SPEED 0xa00000u
#define ALIVE 0xb00000u

extern struct e2e e;
extern struct tg_cluster cluster;
/* What the last program or request said. */
extern char out[65536];
/* The cluster's display. */
extern uint32_t W, H;
extern const char *card; /* NULL: a headless output */
extern const char *source;

/* Layers of VM cluster on output dash, which has a picture common.png, and the watches of them: sections of the
 * configuration. of_warning: more lines for the first watch. Good until the next call. */
const char *watch_sections(const char *of_warning);

/* In the test's folder; good until the fourth call after. */
const char *file(const char *name);
/* All that a configuration names. */
void write_pictures(void);

/* Answers of the service: the caller puts what ask() gives; the others are parts of it. */
struct json_object *ask(const char *request);
struct json_object *member(struct json_object *o, const char *key);
const char *text_of(struct json_object *o, const char *key);
struct json_object *named(struct json_object *list, const char *name);

bool is_in(const char *watch, const char *state);
int64_t count_of(const char *watch, const char *key);
/* Faults of all watches. */
int64_t all_failures(void);
/* There are as many as before; the events are printed otherwise. */
bool no_new_failures(int64_t before);
/* The watch looks where it should, if not at every picture. */
bool is_looked_at(const char *watch);
bool event_seen(const char *kind, const char *part);

/* Frames; the first that is not answered as it should be is the last. */
bool draw(unsigned frames);
/* The guest goes on drawing meanwhile, unless it is dead. */
void await(const char *watch, const char *state, bool drawing);
void await_all_live(void);

/* Waits until the pixel is of that colour. */
bool pixel_is(uint32_t x, uint32_t y, uint32_t colour);
/* All of the guest's picture, and nothing else. */
bool screen_is_live(void);

/* binnaclectl with up to three words; its exit status. */
int ctl(const char *a, const char *b, const char *c);
/* Asserts that the last one said this. */
void says(const char *text);

#endif
