// jobs/model/npy.h – a table of floats as a .npy file, which NumPy and much else reads.
// Format: numpy.lib.format, version 1.0: magic, version, length of the header, the header (a Python literal padded with
// spaces so that the numbers begin at a multiple of 64), the numbers row by row, little-endian. Threads: a pure function.
#pragma once

#include <filesystem>

#include "jobs/evaluate/feature_table.h"

namespace paddock::jobs {

// Writes [size, dim] float32, atomically. The folder exists. Throws std::runtime_error for the disk.
void write_npy(const std::filesystem::path& path, const evaluate::FeatureTable& table);

}  // namespace paddock::jobs
