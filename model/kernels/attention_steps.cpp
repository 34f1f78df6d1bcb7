#include "model/kernels/attention_steps.h"

#include "model/kernels/vector_forms.h"

#define PADDOCK_LOOPS "model/kernels/attention.inc"
#include "model/kernels/every_form.inc"

namespace paddock::model {

void softmax_block(const ScoreBlock& block, float* sums, float* greatest) {
  PADDOCK_BEST_FORM(softmax_loop, block, sums, greatest);
}

void score_gradients(const ScoreBlock& block, float* gradients, const float* log_sums, const float* means) {
  PADDOCK_BEST_FORM(score_gradients_loop, block, gradients, log_sums, means);
}

void row_dots(const float* a, const float* b, std::int64_t rows, std::int64_t padded, float* dots) {
  PADDOCK_BEST_FORM(dots_loop, a, b, rows, padded, dots);
}

void convert(const float* from, float* to, std::int64_t count) {
  PADDOCK_BEST_FORM(convert_loop, from, to, count);
}

void convert(const Bfloat16* from, float* to, std::int64_t count) {
  PADDOCK_BEST_FORM(convert_loop, from, to, count);
}

void convert(const float* from, Bfloat16* to, std::int64_t count) {
  PADDOCK_BEST_FORM(convert_loop, from, to, count);
}

}  // namespace paddock::model
