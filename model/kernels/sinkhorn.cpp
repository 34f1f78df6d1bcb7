#include "model/kernels/sinkhorn.h"

#include "model/kernels/vector_forms.h"

#define PADDOCK_LOOPS "model/kernels/sinkhorn.inc"
#include "model/kernels/every_form.inc"

namespace paddock::model {

template <class T>
void sinkhorn_exponentials(const SinkhornScores<T>& in, std::int64_t begin, std::int64_t end) {
  PADDOCK_BEST_FORM(sinkhorn_exponentials_loop, in, begin, end);
}
template void sinkhorn_exponentials(const SinkhornScores<float>&, std::int64_t, std::int64_t);
template void sinkhorn_exponentials(const SinkhornScores<Bfloat16>&, std::int64_t, std::int64_t);

void sinkhorn_add_mass(const SinkhornRows& rows, float* mass, std::int64_t begin, std::int64_t end) {
  PADDOCK_BEST_FORM(sinkhorn_add_mass_loop, rows, mass, begin, end);
}

void sinkhorn_factors_and_mass(const SinkhornRows& rows, const float* r, float floor, float* mass,
                               std::int64_t begin, std::int64_t end) {
  PADDOCK_BEST_FORM(sinkhorn_factors_and_mass_loop, rows, r, floor, mass, begin, end);
}

void sinkhorn_factors_and_result(const SinkhornRows& rows, const float* r, float floor, std::int64_t begin,
                                 std::int64_t end) {
  PADDOCK_BEST_FORM(sinkhorn_factors_and_result_loop, rows, r, floor, begin, end);
}

}  // namespace paddock::model
