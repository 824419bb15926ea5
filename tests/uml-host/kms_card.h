/* A vkms card made to order through configfs: one at a time. Needs root's rights. */
#ifndef BN_TEST_KMS_CARD_H
#define BN_TEST_KMS_CARD_H

#include <stdbool.h>

/* That many CRTCs, each with a connector, three planes and writeback. False: this kernel cannot. */
bool kms_card_make(unsigned crtcs);
/* False: there is no such connector. */
bool kms_card_plug(unsigned connector, bool plugged);
void kms_card_remove(void);

#endif
