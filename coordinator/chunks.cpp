#include "coordinator/chunks.h"

namespace paddock::coordinator {
namespace {

constexpr std::size_t kChunkBytes = 1u << 20;
constexpr std::size_t kChunksPerBatch = 16;

}  // namespace

std::vector<storage::Batch> chunks_of(storage::Column column, std::string_view prefix,
                                      std::string_view value) {
  std::vector<storage::Batch> batches;
  for (std::uint64_t number = 0; !value.empty(); ++number) {
    if (number % kChunksPerBatch == 0) batches.emplace_back();
    batches.back().put(column, std::string(prefix) + storage::key_of(number),
                       std::string(value.substr(0, kChunkBytes)));
    value.remove_prefix(std::min(value.size(), kChunkBytes));
  }
  return batches;
}

Result<std::string> read_chunks(const storage::Tables& database, storage::Column column,
                                std::string_view prefix) {
  std::string value;
  TRY(database.scan(column, prefix,
                    [&](std::string_view, std::string_view chunk) {
                      value += chunk;
                      return true;
                    }),
      "reading a value in chunks");
  return value;
}

}  // namespace paddock::coordinator
