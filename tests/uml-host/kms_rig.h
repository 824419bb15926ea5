/* An output on a real display controller, and what it really shows. */
#ifndef BN_TEST_KMS_RIG_H
#define BN_TEST_KMS_RIG_H

#include "kms_card.h"
#include "kms_impl.h"
#include "reference.h"
#include "scene_fixture.h"
#include "unit.h"

struct kms_rig {
	struct scene_fixture scene; /* its output is a KMS one */
	struct bn_output_config config;
};

/* Opens an output; card: as in the settings. The result of bn_output_create(). */
int kms_rig_open(struct kms_rig *rig, struct wl_event_loop *loop, const char *card,
	const char *connector, uint32_t width, uint32_t height, uint32_t refresh_mhz);
void kms_rig_close(struct kms_rig *rig);
/* Destroys the layers. */
void kms_rig_clear(struct kms_rig *rig);
/* Runs the loop until nothing waits to be shown. False: that takes more than some seconds. */
bool kms_rig_settle(struct kms_rig *rig);
void kms_rig_run(struct wl_event_loop *loop, unsigned ms);
/* Everything settled: how far what the hardware wrote back is from what is to be shown (the largest difference of a
 * channel); 1000: it wrote nothing back. */
unsigned kms_rig_distance(struct kms_rig *rig);

/* A layer of one colour (with a frame of another around it), opaque or, with blend, of that premultiplied value. */
struct bn_layer *kms_rig_layer(struct kms_rig *rig, uint32_t colour, int32_t x, int32_t y,
	uint32_t width, uint32_t height);
struct bn_buffer *kms_rig_buffer(uint32_t colour, uint32_t width, uint32_t height);
void kms_rig_submit(struct bn_layer *layer, struct bn_buffer *buffer);
struct bn_output_status kms_rig_status(const struct kms_rig *rig);
/* Frames presented since the start, by how. */
extern unsigned kms_rig_presented[3];

#endif
