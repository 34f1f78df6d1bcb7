#include "model/kernels/activation.h"

#include "model/kernels/vector_forms.h"

#define PADDOCK_LOOPS "model/kernels/activation.inc"
#include "model/kernels/every_form.inc"

namespace paddock::model {

void activate(const ActivationRows& in, float* after, std::int64_t rows) {
  PADDOCK_BEST_FORM(activate_loop, in, after, rows);
}

void activate_backward(const ActivationRows& in, float* after, float* before_gradient, float* bias_gradient,
                       std::int64_t rows) {
  PADDOCK_BEST_FORM(activate_backward_loop, in, after, before_gradient, bias_gradient, rows);
}

}  // namespace paddock::model
