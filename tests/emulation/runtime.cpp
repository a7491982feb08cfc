// All that runs the threads of a source, compiled once and linked to each.
#include "schedule.h"

#include "clusters.h"
#include "flags.h"
#include "tensors.h"
#include "warps.h"
