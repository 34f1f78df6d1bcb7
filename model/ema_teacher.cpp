#include "model/ema_teacher.h"

#include <stdexcept>

namespace paddock::model {

void move_teacher(FlatParameters& teacher, const FlatParameters& student, double momentum) {
  if (teacher.values().numel() != student.values().numel())
    throw std::invalid_argument("teacher and student differ in size");
  const torch::NoGradGuard no_grad;
  teacher.values().mul_(momentum).add_(student.values(), 1 - momentum);
}

}  // namespace paddock::model
