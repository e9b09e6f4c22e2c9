import Artefacts
import Tensors
import Weights

extension PartFile {
  /// Adds a weight's parts, each hashed on its way.
  func append(_ parts: [EncodedWeight.Part], hashing: Bool) throws -> [ArtefactDataset] {
    try parts.map { item in
      let payload = PartPayload(in: self, byteCount: item.tensor.bytes.count, hashing: hashing)
      try item.tensor.bytes.withBuffer { bytes throws(PipelineError) in
        try payload.append(bytes)
      }
      return ArtefactDataset(
        path: item.path, dtype: item.tensor.dtype, shape: item.tensor.shape,
        attributes: item.attributes, sha256: payload.finish(),
        location: PartLocation(file: path, offset: payload.offset))
    }
  }
}
