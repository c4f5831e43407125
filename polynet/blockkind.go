package polynet

// BlockKind says what a block computes. In the equations BN is a batch norm with a learned scale and shift, ∗ a
// convolution over time, conv1x1 one of kernel 1, ∘ the Hadamard product, a a learned scalar that starts at 0, so that
// a network starts as the linear one of the same shape, and x the block's input. A norm of running statistics is an
// affine map of each channel: it raises no degree.
//
// Residual blocks have a branch F = BN(conv(BN(conv(x)))) and a skip S = x, or S = BN(conv1x1(x)) where the block
// changes width or has a stride.
type BlockKind string

// The residual blocks without products, for comparison.
const (
	Linear BlockKind = "linear" // F + S
	ReLU   BlockKind = "relu"   // max(F + S, 0), and max(·, 0) after the stem's norm and the branch's first norm
)

// Π-nets: each block is a polynomial of degree 2 of its input and a chain of them a product of polynomials (ProdPoly):
// the degrees multiply (Chrysos et al., "Deep polynomial neural networks", 2020; a is polyphon's, the official code has
// a product norm alone). The ReLU forms have max(·, 0) where ReLU has it, as the official code.
const (
	Pi        BlockKind = "pi"         // F + S + a·BN(F∘S)                  ("PiNet")
	PiReLU    BlockKind = "pi-relu"    // max(F + S + a·BN(F∘S), 0)          ("PiNet" with activations)
	Pi1x1     BlockKind = "pi1x1"      // F + S + a·BN(conv1x1(F∘S))         ("PiNet-1x1")
	Pi1x1ReLU BlockKind = "pi1x1-relu" // max(F + S + a·BN(conv1x1(F∘S)), 0) ("PiNet-1x1" with activations)
	PiTanh    BlockKind = "pi-tanh"    // F + S + a·BN(conv1x1(tanh(F∘S)))   (ibid., the face model: a bounded product)
)

// The decompositions of Chrysos et al. (2020), section 3, of one polynomial of degree N = Config.Degree of the block's
// input z. A chain of blocks is a ProdPoly of degree N to the power of the number of blocks. The factors U and A are
// convolutions of the stage's kernel; S, V and C are conv1x1. None has a skip around the block.
//
// The norms keep the factors' size: without them, products of N factors vanish or overflow. A norm's scale could be
// part of the factor before it. Its shift is in the papers' form only in S's place (B·b); after A, U and V it gives
// each factor a constant term, so that terms of lower degree are freer than in the papers. With these shifts at 0 the
// equations are the papers'.
const (
	// CCP is the coupled CP decomposition: x₁ = BN(U₁∗z), xₙ = a·BN(Uₙ∗z)∘xₙ₋₁ + xₙ₋₁, out = BN(C·x_N), whose shift is β.
	// Each n has its own a.
	CCP BlockKind = "ccp"
	// NCP is the nested decomposition: x₁ = BN(A₁∗z), xₙ = BN(Aₙ∗z)∘BN(Sₙ·xₙ₋₁), out = BN(C·x_N), whose shift is β. B·b is
	// a learned vector: of x₁ it is the scale of A₁'s norm, of xₙ the shift of Sₙ's norm. That norm starts with scale 0
	// and shift 1, so that a network starts as a linear one.
	NCP BlockKind = "ncp"
	// NCPSkip is NCP with a skip: xₙ = BN(Aₙ∗z)∘BN(Sₙ·xₙ₋₁) + BN(Vₙ·xₙ₋₁).
	NCPSkip BlockKind = "ncp-skip"
)

// Star is the block of StarNet (Ma et al., 2024) without its activation function. Its factors are two linear maps of
// one convolution, that is, of the same rows of the input:
//
//	u = BN(D∗x)    a = BN(A·u)    b = BN(B·u)    x + BN(C·(a + a∘b))
//
// D is a depthwise convolution of the stage's kernel, A and B are conv1x1 to Config.Expansion times the stage's width,
// C is one back. The scale of C's norm starts at 1/2 in the network's first three blocks, at half of that in the next
// three, and so on: deep chains of products train only where each one adds little. A block that changes width or has a
// stride begins with x = BN(conv(x)), of a kernel of 3 or, if that is less, the stage's.
const Star BlockKind = "star"

// StarExpansion is what a Config.Expansion of 0 stands for.
const StarExpansion = 4

// Mu is a block of two layers of MONet (Cheng et al., 2024), each a product of a map and one of a low rank, the first
// of which also looks at other rows:
//
//	u = BN(D∗x)    y = x + BN(C·(a + a∘b)),    a = BN(A·u), b = BN(B·L·u)
//	               y + BN(C'·(a' + a'∘b')),    a' = BN(A'·y), b' = BN(B'·L'·y)
//
// D is as Star's, and so are a first convolution and the scales that C's and C's norms start with. All others are
// conv1x1: A and B to the stage's width, A' and B' to MuExpansion times that, L and L' to a MuRank-th, at least 2. The
// paper shifts the channels of A·u and L·u in place of D, normalises each position over its channels, and once more
// before a layer. Such norms are no polynomials; these are, but by their running statistics. The paper adds 1 to A·u
// and L·u. A norm after that takes it away again.
const Mu BlockKind = "mu"

// The channels of a Mu block, relative to the stage's width.
const (
	MuExpansion = 3 // times as many has the second layer
	MuRank      = 8 // a part of this size is the rank of the second factors
)

// BlockKinds lists the block kinds in the order in which they are documented.
func BlockKinds() []BlockKind {
	return []BlockKind{Linear, ReLU, Pi, PiReLU, Pi1x1, Pi1x1ReLU, PiTanh, CCP, NCP, NCPSkip, Star, Mu}
}

// Decomposition reports whether the kind's blocks are polynomials whose degree Config.Degree chooses.
func (k BlockKind) Decomposition() bool { return k == CCP || k == NCP || k == NCPSkip }

// Rectified reports whether the kind has max(·, 0) after the stem and in its blocks.
func (k BlockKind) Rectified() bool { return k == ReLU || k == PiReLU || k == Pi1x1ReLU }

// Retired reports whether the kind is one that earlier versions trained: R-PolyNets and D-PolyNets, which normalise
// over whole clips and so cannot answer for streams, and were no more accurate than the others (bench/pinets/NOTES.md).
func (k BlockKind) Retired() bool { return k == "rpoly" || k == "dpoly" }
