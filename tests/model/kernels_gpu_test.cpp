// The fused update's CUDA form against its CPU form. Needs a GPU, the CUDA half of LibTorch and our kernels.
#include <ATen/Context.h>
#include <dlfcn.h>
#include <gtest/gtest.h>

#include "fused_update_case.h"
#include "model/kernels/kernel_library.h"

namespace paddock::model {
namespace {

TEST(FusedUpdateGpu, EqualsItsCpuForm) {
  const KernelLibrary& library = kernel_library();
  if (library.fused_update == nullptr) GTEST_SKIP() << "no CUDA kernels: " << library.problem;
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr)
    GTEST_SKIP() << "LibTorch's CUDA half cannot be loaded: " << dlerror();
  if (!at::globalContext().hasCUDA()) GTEST_SKIP() << "no GPU";
  at::manual_seed(9);
  for (const std::int64_t offset : {0, 1}) {  // aligned, and not
    Case wanted;
    Case on_gpu = wanted;
    for (torch::Tensor* tensor : {&on_gpu.value, &on_gpu.gradient, &on_gpu.first, &on_gpu.second,
                                  &on_gpu.average, &on_gpu.value_bf16, &on_gpu.average_bf16})
      *tensor =
          torch::cat({torch::zeros({offset}, tensor->options()), *tensor}).to(torch::kCUDA).slice(0, offset);
    fused_update_cpu(wanted.arrays(), fused_update_values(some_numbers()));
    const auto arrays = on_gpu.arrays();
    const auto values = fused_update_values(some_numbers());
    ASSERT_EQ(library.fused_update(&arrays, &values, nullptr), 0);
    EXPECT_TRUE(torch::allclose(on_gpu.value.cpu(), wanted.value, 1e-6, 1e-6));
    EXPECT_TRUE(torch::allclose(on_gpu.second.cpu(), wanted.second, 1e-6, 1e-6));
    EXPECT_TRUE(torch::allclose(on_gpu.average.cpu(), wanted.average, 1e-6, 1e-6));
    EXPECT_TRUE(torch::allclose(on_gpu.value_bf16.cpu().to(torch::kFloat32), wanted.value, 1e-2, 1e-3));
  }
}

}  // namespace
}  // namespace paddock::model
