#include "model/kernels/soft_cross_entropy.h"

#include "model/kernels/vector_forms.h"

#define PADDOCK_LOOPS "model/kernels/soft_cross_entropy.inc"
#include "model/kernels/every_form.inc"

namespace paddock::model {

template <class T>
void soft_cross_entropy_rows(const ScoredRows<T>& in, std::int64_t begin, std::int64_t end) {
  PADDOCK_BEST_FORM(soft_cross_entropy_loop, in, begin, end);
}

template void soft_cross_entropy_rows(const ScoredRows<float>&, std::int64_t, std::int64_t);
template void soft_cross_entropy_rows(const ScoredRows<Bfloat16>&, std::int64_t, std::int64_t);

}  // namespace paddock::model
