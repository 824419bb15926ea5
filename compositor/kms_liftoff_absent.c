/* Built without libliftoff. */
#include "kms_impl.h"

bool bn_kms_liftoff_plan(struct bn_kms_planner *planner, struct bn_kms_scene *scene,
	uint64_t wanted, struct bn_kms_plan *plan)
{
	return false;
}

void bn_kms_liftoff_destroy(struct bn_kms_liftoff *liftoff)
{
}
