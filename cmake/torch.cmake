# paddock::torch – LibTorch as the wheel torch==2.11.0 in .venv ships it. Its own TorchConfig.cmake is not used: it fails
# where no CUDA toolkit is installed and drags compiler flags in. Only the CPU libraries are linked: a machine with GPUs
# loads the CUDA half at run time (jobs/devices), so that a CPU rank starts in a fraction of the time.
set(PADDOCK_TORCH_ROOT "" CACHE PATH "Folder of the torch Python package; found in .venv when empty")
set(torch_root "${PADDOCK_TORCH_ROOT}")
if(NOT torch_root)
  file(GLOB torch_root ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
endif()
if(NOT EXISTS "${torch_root}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "No LibTorch in '${torch_root}': run scripts/setup, or set PADDOCK_TORCH_ROOT, or PADDOCK_COMPUTE=OFF")
endif()

add_library(paddock_torch INTERFACE)
add_library(paddock::torch ALIAS paddock_torch)
target_include_directories(paddock_torch SYSTEM INTERFACE
  ${torch_root}/include ${torch_root}/include/torch/csrc/api/include)
# libtorch.so exports std::filesystem functions of the older standard library it was built with (std::filesystem::remove_all
# of ours would end in them and crash): the system's own library has to come first.
target_link_libraries(paddock_torch INTERFACE stdc++
  ${torch_root}/lib/libtorch.so ${torch_root}/lib/libtorch_cpu.so ${torch_root}/lib/libc10.so Threads::Threads)
target_link_options(paddock_torch INTERFACE -Wl,-rpath,${torch_root}/lib)
# mold 1.10 lets the read-only part begin at a lone byte of thread-local memory (c10's), which once in a few hundred links
# lies on a page that is not mapped: the program then does not start ("cannot apply additional memory protection").
target_link_options(paddock_torch INTERFACE -Wl,-z,norelro)
target_compile_definitions(paddock_torch INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
# GCC's precompiled headers defeat ccache without this (and CCACHE_SLOPPINESS, which the presets set).
target_compile_options(paddock_torch INTERFACE -fpch-preprocess)

# LibTorch's CUDA half, and the headers of CUDA and NCCL that come with it; for what is loaded at run time alone.
file(GLOB PADDOCK_NVIDIA_INCLUDES ${torch_root}/../nvidia/cu*/include ${torch_root}/../nvidia/nccl/include)
if(NOT EXISTS "${torch_root}/lib/libtorch_cuda.so" OR NOT EXISTS "${torch_root}/../nvidia/nccl/include/nccl.h")
  set(PADDOCK_NVIDIA_INCLUDES "")
endif()
add_library(paddock_torch_cuda INTERFACE)
add_library(paddock::torch_cuda ALIAS paddock_torch_cuda)
target_link_libraries(paddock_torch_cuda INTERFACE ${torch_root}/lib/libtorch_cuda.so ${torch_root}/lib/libc10_cuda.so)
