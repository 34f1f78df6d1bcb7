#include "model/kernels/activation.h"

#include "model/kernels/vector_forms.h"

#define PADDOCK_LOOPS "model/kernels/activation.inc"
#include "model/kernels/every_form.inc"

namespace paddock::model {

template <class T>
void activate(const ActivationRows<T>& in, T* after, std::int64_t rows) {
  PADDOCK_BEST_FORM(activate_loop, in, after, rows);
}

template <class T>
void activate_backward(const ActivationRows<T>& in, T* after, T* before_gradient, float* bias_gradient,
                       std::int64_t rows) {
  PADDOCK_BEST_FORM(activate_backward_loop, in, after, before_gradient, bias_gradient, rows);
}

template void activate(const ActivationRows<float>&, float*, std::int64_t);
template void activate(const ActivationRows<Bfloat16>&, Bfloat16*, std::int64_t);
template void activate_backward(const ActivationRows<float>&, float*, float*, float*, std::int64_t);
template void activate_backward(const ActivationRows<Bfloat16>&, Bfloat16*, Bfloat16*, float*, std::int64_t);

}  // namespace paddock::model
