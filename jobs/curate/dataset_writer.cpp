#include "jobs/curate/dataset_writer.h"

#include <cstdio>

#include "base/limits.h"
#include "jobs/value_or_throw.h"
#include "storage/disk.h"
#include "storage/hash.h"
#include "storage/shard.h"

namespace paddock::curate {
namespace fs = std::filesystem;
using jobs::value_or_throw;
using nlohmann::ordered_json;

namespace {

std::string text_of(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

storage::ShardSetInfo write_split(storage::Disk& disk, const fs::path& dir,
                                  const std::vector<DatasetSample>& samples, const DatasetContent& content,
                                  std::size_t written_before, const WriteProgress& progress) {
  storage::ShardOptions options;
  options.bytes_max = content.shard_bytes;
  auto writer = value_or_throw(storage::ShardWriter::open(disk, dir, options), "beginning the shards");
  for (std::size_t i = 0; i < samples.size(); ++i) {
    char key[32];
    std::snprintf(key, sizeof key, "%08zu", i);
    const std::vector<std::byte> png = content.png(samples[i].row);
    ordered_json about;
    about["source"] = samples[i].source;
    about["label"] = samples[i].label.empty() ? ordered_json() : ordered_json(samples[i].label);
    about["content"] = samples[i].content;
    const std::string json = text_of(about);
    value_or_throw(writer.add(key, {{"png", png}, {"json", storage::bytes_of(json)}}), "writing a sample");
    if (i % 500 == 499) progress(written_before + i + 1);
  }
  return value_or_throw(writer.finish(), "finishing the shards");
}

ordered_json classes_of(const DatasetContent& content) {
  ordered_json classes = ordered_json::array();
  for (const std::string& name : content.classes) {
    const auto count = [&](const std::vector<DatasetSample>& samples) {
      std::size_t n = 0;
      for (const DatasetSample& sample : samples) n += sample.label == name;
      return n;
    };
    classes.push_back({{"name", name}, {"train", count(content.train)}, {"test", count(content.test)}});
  }
  return {{"classes", std::move(classes)}};
}

std::string lines_of_fates(const std::vector<Fate>& fates) {
  std::string lines;
  for (const Fate& fate : fates) lines += json_line(fate) + '\n';
  return lines;
}

std::string lines_of_leaks(const std::vector<LeakLine>& leaks) {
  std::string lines;
  for (const LeakLine& leak : leaks)
    lines += text_of({{"train", leak.train}, {"test", leak.test}, {"similarity", leak.similarity}}) + '\n';
  return lines;
}

}  // namespace

std::string write_dataset(const fs::path& dir, const DatasetContent& content, const WriteProgress& progress) {
  storage::RealDisk disk;
  const fs::path partial = dir.parent_path() / (dir.filename().string() + ".partial");
  value_or_throw(disk.remove_all(partial), "clearing an unfinished dataset");
  value_or_throw(storage::make_dirs(disk, partial), "making the dataset's folder");
  const auto train = write_split(disk, partial / "train", content.train, content, 0, progress);
  const auto test =
      write_split(disk, partial / "test", content.test, content, content.train.size(), progress);

  ordered_json about = content.about;
  about["train"] = {
      {"pictures", train.samples}, {"shards", train.shards}, {"bytes", train.bytes}, {"hash", train.hash}};
  about["test"] = {
      {"pictures", test.samples}, {"shards", test.shards}, {"bytes", test.bytes}, {"hash", test.hash}};
  ordered_json files;
  for (const auto& [name, text] :
       {std::pair<std::string, std::string>{"classes.json", text_of(classes_of(content)) + '\n'},
        {"leaks.jsonl", lines_of_leaks(content.leaks)},
        {"provenance.jsonl", lines_of_fates(content.fates)}}) {
    value_or_throw(storage::write_atomically(disk, partial / name, text), "writing the dataset");
    files[name] = storage::xxh3_hex(text);
  }
  about["files"] = std::move(files);
  // The identity is the hash of all else that dataset.json says, which has the hashes of everything in the
  // folder.
  const std::string hash = storage::xxh3_hex(text_of(about));
  about["hash"] = hash;
  value_or_throw(storage::write_atomically(disk, partial / "dataset.json", about.dump(2) + '\n'),
                 "writing the dataset");
  value_or_throw(disk.sync_dir(partial), "writing the dataset");
  value_or_throw(disk.rename(partial, dir), "naming the dataset");
  value_or_throw(disk.sync_dir(dir.parent_path()), "naming the dataset");
  return hash;
}

nlohmann::json finished_dataset(const fs::path& dir) {
  storage::RealDisk disk;
  const auto file = storage::read_file(disk, dir / "dataset.json", limits::kManifestBytesMax);
  if (!file && file.error().code == Code::kNotFound) return nullptr;
  if (!file) jobs::throw_error(file.error(), "looking for a finished dataset");
  nlohmann::json about = nlohmann::json::parse(file->text(), nullptr, false);
  if (!about.is_object())
    throw std::runtime_error("curate: " + (dir / "dataset.json").string() + " is damaged; remove the folder");
  return about;
}

}  // namespace paddock::curate
