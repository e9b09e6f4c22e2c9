import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

/// Opens a file and reads every tensor in it.
@discardableResult
func readAll(_ path: String, seconds: Double = 20) throws -> HDF5Source {
  let source = try HDF5Source(path: path, limits: HDF5Limits(seconds: seconds))
  for tensor in source.tensors { _ = try source.load(tensor) }
  return source
}

/// The problem that a hostile file is refused for.
func problem(_ name: String) throws -> HDF5Problem {
  let path = SharedFiles.fixture("hostile/hdf5_\(name).h5")
  do {
    try readAll(path)
  } catch let error as CheckpointError {
    #expect(error.description.hasPrefix(path + ": "))
    guard case .hdf5(path, let problem) = error else { throw error }
    // A case without a sentence would be silent.
    #expect(problem.description.count > 20)
    return problem
  }
  Issue.record("'\(name)' was read")
  return .empty
}

@Suite("HDF5: hostile files")
struct HDF5HostileTests {
  @Test("What is not HDF5 is named")
  func notHDF5() throws {
    #expect(try problem("empty") == .empty)
    #expect(try problem("wrong_magic") == .notHDF5(looksLike: nil))
    #expect(try problem("safetensors") == .notHDF5(looksLike: .safetensors))
    #expect(try problem("pickle") == .notHDF5(looksLike: .pickle))
    #expect(try problem("lfs_pointer") == .notHDF5(looksLike: .gitLFSPointer))
  }

  @Test("Truncated files")
  func truncated() throws {
    for name in ["truncated", "truncated_early"] {
      guard case .unreadable("", let reason) = try problem(name) else {
        Issue.record("\(name)")
        continue
      }
      #expect(reason.contains("truncated file"))
    }
    #expect(
      try problem("past_the_end")
        == .outsideFile(dataset: "bias", offset: 6848, bytes: 160, fileBytes: 4008))
  }

  @Test("Extents that overflow, or promise more than is stored")
  func extents() throws {
    #expect(
      try problem("overflowing")
        == .overflowingShape(dataset: "weight", extents: [1 << 40, 1 << 40])
    )
    #expect(try isUnreadable("negative", "weight"))
    for name in ["petabytes", "petabytes_chunked"] {
      #expect(
        try problem(name)
          == .declaresMoreThanItStores(dataset: "weight", declared: 1 << 50, stored: 0))
    }
  }

  @Test("Chunks that are empty, negative, enormous or damaged")
  func chunks() throws {
    #expect(
      try problem("enormous_chunk")
        == .unusableChunks(dataset: "weight", extents: [1 << 31, 1 << 31]))
    for name in ["zero_chunk", "negative_chunk", "large_chunk"] {
      #expect(try isUnreadable(name, "weight"))
    }
    guard case .cannotDecode("weight", _) = try problem("broken_gzip") else {
      Issue.record("broken_gzip")
      return
    }
  }

  @Test("Links that lead out of the file, multiply, nest or have impossible names")
  func links() throws {
    #expect(try problem("external_link") == .externalLink("stolen"))
    #expect(try problem("external_through_soft") == .externalLink("y"))
    #expect(try problem("deep") == .nestedTooDeeply(limit: 256))
    #expect(try problem("diamonds") == .tooManyObjects(limit: 1 << 17))
    #expect(try problem("duplicate") == .repeatedName("namea"))
    #expect(try problem("not_utf8") == .invalidName(group: ""))
    #expect(try isUnreadable("slash", "namea"))
  }

  @Test("Links that lead back do not hang")
  func cycles() throws {
    let source = try readAll(SharedFiles.fixture("hostile/hdf5_cyclic.h5"))
    #expect(source.tensors.map(\.name) == ["a/b/weight"])
    #expect(source.skipped.map(\.name).sorted() == ["a/b/around", "a/b/soft", "a/b/up", "a/root"])
  }

  @Test("Values that are kept elsewhere")
  func elsewhere() throws {
    #expect(try problem("external_data") == .externalData(dataset: "weight"))
    #expect(try problem("virtual") == .virtualDataset("weight"))
  }

  @Test("Texts where numbers belong are no tensors; values that are not finite are still values")
  func values() throws {
    let texts = try readAll(SharedFiles.fixture("hostile/hdf5_texts.h5"))
    #expect(texts.tensors.isEmpty)
    #expect(texts.skipped.map(\.name) == ["bias", "weight"])
    #expect(
      try problem("dtype_mismatch")
        == .typeMismatch(dataset: "weight", named: "bf16", elementBytes: 4))
    let values = try HDF5File(path: SharedFiles.fixture("hostile/hdf5_not_finite.h5"))
    #expect(try doubles(values, "nan")[1].isNaN)
    #expect(try doubles(values, "half_nan")[1].isNaN)
    #expect(try doubles(values, "infinity") == [1, .infinity, -.infinity])
  }

  @Test("Attributes that claim to be enormous")
  func attributes() throws {
    for (name, attribute) in [("huge_text", "text"), ("lost_text", "text")] {
      guard case .unreadableAttribute("", attribute, _) = try problem(name) else {
        Issue.record("\(name)")
        continue
      }
    }
    #expect(try isUnreadable("huge_attribute", ""))
  }

  @Test("A text whose length in the heap is false ends libhdf5 1.10.8, and not this process")
  func crash() throws {
    let path = SharedFiles.fixture("hostile/hdf5_huge_heap_text.h5")
    // libhdf5 reads past its own memory here: where that is mapped, as under the address
    // sanitizer, it does not crash and the text is read.
    do {
      try readAll(path)
    } catch CheckpointError.hdf5(path, let problem) {
      switch problem {
      case .crashesLibrary, .unreadableAttribute, .takesTooMuchMemory: break
      default: Issue.record("\(problem)")
      }
    }
  }

  private func isUnreadable(_ name: String, _ object: String) throws -> Bool {
    switch try problem(name) {
    case .unreadable(object, _), .unreadableAttribute(object, _, _): true
    default: false
    }
  }
}
