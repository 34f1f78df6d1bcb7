// jobs/devices.h – where a rank computes, and how precisely.
// The program links LibTorch's CPU half alone; the CUDA half is loaded when a GPU is to be used, so that a CPU rank starts
// quickly and needs no driver. Throws std::runtime_error when a GPU was asked for and cannot be had.
#pragma once

#include <torch/types.h>

#include <string>

#include "model/collective.h"

namespace paddock::jobs {

// `device`: cpu, cuda, or auto – the GPU when CUDA_VISIBLE_DEVICES names one (or is unset and the machine has one).
torch::Device choose_device(const std::string& device);

// Throws std::invalid_argument where one rank has a GPU and another has none: they would wait for each other in different places.
// Collective.
void compare_devices(torch::Device own, model::Collective& ranks);

// Waits for what this thread has asked of the device so far, but not for operations between ranks that are under way.
void finish_own_work(torch::Device device);

// `precision`: fp32, bf16, or auto – bfloat16 on GPUs and on CPUs that multiply it natively.
torch::ScalarType choose_compute_type(const std::string& precision, torch::Device device);

// The threads that LibTorch may use in this rank; fixed for the whole run, since sums depend on it. Call before any tensor.
void fix_threads(int threads);

}  // namespace paddock::jobs
