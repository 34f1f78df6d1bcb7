#include "data/filter_row.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define PADDOCK_HAS_AVX2_FORM 1
#include <immintrin.h>
#endif

namespace paddock::data {
namespace {

#ifdef PADDOCK_HAS_AVX2_FORM
constexpr std::size_t kLanes = 8;
constexpr std::size_t kVectors = 6;  // of sums that stay in registers: three channels of a tile's rows
constexpr std::size_t kBlock = kLanes * kVectors;

__attribute__((target("avx2"))) void filter_block(const std::uint8_t* rows, std::size_t stride,
                                                  std::span<const std::int32_t> weights, std::uint8_t* to) {
  __m256i sums[kVectors];
  for (__m256i& sum : sums) sum = _mm256_set1_epi32(kHalf);
  for (const std::int32_t each : weights) {
    const __m256i weight = _mm256_set1_epi32(each);
#pragma GCC unroll 6
    for (std::size_t v = 0; v < kVectors; ++v) {
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(rows + v * kLanes));
      sums[v] = _mm256_add_epi32(sums[v], _mm256_mullo_epi32(_mm256_cvtepu8_epi32(bytes), weight));
    }
    rows += stride;
  }
  // Packing works within halves of a register: fours of bytes come out as first, second, then those of the
  // upper halves.
  const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
#pragma GCC unroll 3
  for (std::size_t v = 0; v < kVectors; v += 2) {
    const __m256i first = _mm256_srai_epi32(sums[v], kFractionBits);
    const __m256i second = _mm256_srai_epi32(sums[v + 1], kFractionBits);
    const __m256i words = _mm256_packs_epi32(first, second);
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(words, words), in_order);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + v * kLanes), _mm256_castsi256_si128(bytes));
  }
}

__attribute__((target("avx2"))) void filter_row_avx2(const std::uint8_t* rows, std::size_t stride,
                                                     std::span<const std::int32_t> weights, std::uint8_t* to,
                                                     std::size_t count) {
  for (std::size_t i = 0; i < count; i += kBlock) {
    const std::size_t at = std::min(i, count - kBlock);  // the last block may do some of the one before again
    filter_block(rows + at, stride, weights, to + at);
  }
}

// 16 × 16 bytes: four times each row is dealt into the one eight below it.
void transpose(__m128i (&rows)[kTileRows]) {
  for (int step = 0; step < 4; ++step) {
    __m128i dealt[kTileRows];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < kTileRows / 2; ++i) {
      dealt[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + kTileRows / 2]);
      dealt[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + kTileRows / 2]);
    }
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kTileRows; ++i) rows[i] = dealt[i];
  }
}
#endif

}  // namespace

void filter_row_reference(const std::uint8_t* rows, std::size_t stride, std::span<const std::int32_t> weights,
                          std::uint8_t* to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    std::int32_t sum = kHalf;
    for (std::size_t t = 0; t < weights.size(); ++t) sum += rows[t * stride + i] * weights[t];
    to[i] = to_pixel(sum);
  }
}

void filter_row(const std::uint8_t* rows, std::size_t stride, std::span<const std::int32_t> weights,
                std::uint8_t* to, std::size_t count) {
#ifdef PADDOCK_HAS_AVX2_FORM
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx2 && count >= kBlock) return filter_row_avx2(rows, stride, weights, to, count);
#endif
  filter_row_reference(rows, stride, weights, to, count);
}

void rows_to_tile(const std::array<const std::uint8_t*, kTileRows>& rows, std::size_t count,
                  std::uint8_t* tile) {
#ifdef PADDOCK_HAS_AVX2_FORM
  if (count >= kTileRows) {
    for (std::size_t i = 0; i < count; i += kTileRows) {
      const std::size_t at = std::min(i, count - kTileRows);
      __m128i square[kTileRows];
      for (std::size_t y = 0; y < kTileRows; ++y)
        square[y] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[y] + at));
      transpose(square);
      for (std::size_t x = 0; x < kTileRows; ++x)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(tile + (at + x) * kTileRows), square[x]);
    }
    return;
  }
#endif
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t y = 0; y < kTileRows; ++y) tile[i * kTileRows + y] = rows[y][i];
}

void tile_to_rows(const std::uint8_t* tile, std::size_t count,
                  const std::array<std::uint8_t*, kTileRows>& rows) {
#ifdef PADDOCK_HAS_AVX2_FORM
  if (count >= kTileRows) {
    for (std::size_t i = 0; i < count; i += kTileRows) {
      const std::size_t at = std::min(i, count - kTileRows);
      __m128i square[kTileRows];
      for (std::size_t x = 0; x < kTileRows; ++x)
        square[x] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(tile + (at + x) * kTileRows));
      transpose(square);
      for (std::size_t y = 0; y < kTileRows; ++y)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(rows[y] + at), square[y]);
    }
    return;
  }
#endif
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t y = 0; y < kTileRows; ++y) rows[y][i] = tile[i * kTileRows + y];
}

}  // namespace paddock::data
