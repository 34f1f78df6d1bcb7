// model/ema_teacher.h – the teacher as a moving average of the student. Source: DINO (arXiv 2104.14294) §3.1.
#pragma once

#include "model/flat_parameters.h"

namespace paddock::model {

// teacher ← momentum · teacher + (1 − momentum) · student, in float32. Both hold the same networks in the same order.
// Throws std::invalid_argument when they do not.
void move_teacher(FlatParameters& teacher, const FlatParameters& student, double momentum);

}  // namespace paddock::model
