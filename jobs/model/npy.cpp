#include "jobs/model/npy.h"

#include <bit>

#include "jobs/value_or_throw.h"
#include "storage/disk.h"

namespace paddock::jobs {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie in memory");

std::string npy_header(std::size_t rows, std::size_t columns) {
  const std::string about = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) +
                            ", " + std::to_string(columns) + "), }";
  constexpr std::size_t kBefore = 10;  // magic 6, version 2, length 2
  const std::size_t length = (kBefore + about.size() + 1 + 63) / 64 * 64 - kBefore;
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(length & 0xFF);
  header += static_cast<char>(length >> 8);
  header += about + std::string(length - about.size() - 1, ' ') + '\n';
  return header;
}

}  // namespace

void write_npy(const std::filesystem::path& path, const evaluate::FeatureTable& table) {
  storage::RealDisk disk;
  const std::string header = npy_header(table.size(), table.dim);
  const auto fill = [&](storage::WritableFile& file) -> Result<void> {
    TRY(file.append(storage::bytes_of(header)), "writing the header");
    return file.append(std::as_bytes(std::span(table.values)));
  };
  value_or_throw(storage::write_atomically(disk, path, fill), "writing results");
}

}  // namespace paddock::jobs
