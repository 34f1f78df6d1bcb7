#include "model/products.h"

#include <ATen/Context.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include "model/kernels/panel_product.h"
#include "model/kernels/vector_forms.h"

namespace paddock::model {
namespace {

// oneDNN's inner product and its layout of weights, which LibTorch offers by name only.
torch::Tensor packed_product(const torch::Tensor& x_RI, const torch::Tensor& weight_OI) {
  using Pack = torch::Tensor(const torch::Tensor&, std::optional<c10::SymInt>);
  using Multiply =
      torch::Tensor(const torch::Tensor&, const torch::Tensor&, const std::optional<torch::Tensor>&,
                    c10::string_view, c10::List<std::optional<at::Scalar>>, std::optional<c10::string_view>);
  static const auto pack =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_reorder_linear_weight", "").typed<Pack>();
  static const auto multiply =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<Multiply>();
  const auto packed = pack.call(weight_OI.to(x_RI.scalar_type()).contiguous(), x_RI.size(0));
  return multiply.call(x_RI, packed, std::nullopt, "none", c10::List<std::optional<at::Scalar>>(), "");
}

bool has_packed_products(torch::ScalarType type) {
  static const bool has_library = at::hasMKLDNN() && instructions() == Instructions::kAvx512;
  return has_library && (type == torch::kFloat32 || has_fast_bfloat16());
}

// A whole panel of rows is what packing pays for.
bool pays_packing(const torch::Tensor& x, const torch::Tensor& weight) {
  return x.size(0) >= 64 && weight.size(0) >= 16 && weight.size(1) >= 16 &&
         has_packed_products(x.scalar_type());
}

torch::Tensor product(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.scalar_type() == torch::kFloat32 || has_fast_bfloat16()) return a.mm(b.to(a.scalar_type()));
  return a.to(torch::kFloat32).mm(b.to(torch::kFloat32)).to(a.scalar_type());
}

}  // namespace

bool has_fast_bfloat16() {
  return has_pair_products();
}

torch::Tensor times_transposed(const torch::Tensor& x_RI, const torch::Tensor& weight_OI) {
  return pays_packing(x_RI, weight_OI) ? packed_product(x_RI, weight_OI) : product(x_RI, weight_OI.t());
}

torch::Tensor times(const torch::Tensor& y_RO, const torch::Tensor& weight_OI) {
  return pays_packing(y_RO, weight_OI) ? packed_product(y_RO, weight_OI.t()) : product(y_RO, weight_OI);
}

torch::Tensor transposed_times(const torch::Tensor& y_RO, const torch::Tensor& x_RI) {
  return product(y_RO.t(), x_RI).to(torch::kFloat32);
}

}  // namespace paddock::model
