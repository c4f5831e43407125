package polynet

// BlockKind says what a block computes. In the equations BN is batch norm with a learned scale and shift, ∗ a convolution over
// time, conv1x1 one of kernel 1, ∘ the Hadamard product, a and θ learned scalars that start at 0, and x the block's
// input. A norm of running statistics is an affine map of each channel, so that it raises no degree; a at 0 makes a
// network start as the linear one of the same shape.
//
// Residual blocks have a branch F = BN(conv(BN(conv(x)))) and a skip S = x, or S = BN(conv1x1(x)) where the block changes width
// or has a stride.
type BlockKind string

// The residual blocks without products, which the others are measured by.
const (
	Linear BlockKind = "linear" // F + S
	ReLU   BlockKind = "relu"   // max(F + S, 0), and max(·, 0) behind the stem's and the branch's first norm
)

// Π-nets: each block is a polynomial of degree 2 of its input and a chain of them a product of polynomials (ProdPoly): the degrees
// multiply (Chrysos et al., "Deep polynomial neural networks", 2020; a is polyphon's, the official code has a
// product norm alone). The ReLU forms have max(·, 0) where ReLU has it, as the official code.
const (
	Pi        BlockKind = "pi"         // F + S + a·BN(F∘S)                  ("PiNet")
	PiReLU    BlockKind = "pi-relu"    // max(F + S + a·BN(F∘S), 0)          ("PiNet" with activations)
	Pi1x1     BlockKind = "pi1x1"      // F + S + a·BN(conv1x1(F∘S))         ("PiNet-1x1")
	Pi1x1ReLU BlockKind = "pi1x1-relu" // max(F + S + a·BN(conv1x1(F∘S)), 0) ("PiNet-1x1" with activations)
	PiTanh    BlockKind = "pi-tanh"    // F + S + a·BN(conv1x1(tanh(F∘S)))   (ibid., the face model: a bounded product)
)

// The decompositions of Chrysos et al. (2020), section 3, of one polynomial of degree N = Config.Degree of the block's input z. A chain
// of blocks is a ProdPoly of degree N to the number of blocks. The factors U and A are convolutions of the stage's kernel, S, V
// and C are conv1x1. None has a skip around the block.
//
// The norms are added so that the factors keep their size: without them, products of N factors vanish or overflow. A norm's
// scale stretches the rows of the factor in front of it, which the factor could do itself. Its shift is a constant that the
// papers' form has in S's place only (B·b); behind A, U and V it gives each factor a constant term, so that terms of lower
// degree are freer than in the papers. With the shifts at 0 the equations are the papers' to the letter.
const (
	// x₁ = BN(U₁∗z), xₙ = a·BN(Uₙ∗z)∘xₙ₋₁ + xₙ₋₁, out = BN(C·x_N), whose shift is β: the coupled CP decomposition. Each
	// n has its a.
	CCP BlockKind = "ccp"
	// x₁ = BN(A₁∗z), xₙ = BN(Aₙ∗z)∘BN(Sₙ·xₙ₋₁), out = BN(C·x_N), whose shift is β: the nested decomposition. B·b is a
	// learned vector whatever B and b are: of x₁ it is the scale of A₁'s norm, of xₙ the shift of Sₙ's norm. That norm starts
	// with scale 0 and shift 1, so that a network starts as a linear one.
	NCP BlockKind = "ncp"
	// NCP with a skip: xₙ = BN(Aₙ∗z)∘BN(Sₙ·xₙ₋₁) + BN(Vₙ·xₙ₋₁).
	NCPSkip BlockKind = "ncp-skip"
)

// The regularised polynomial nets (Chrysos et al., "Regularization of polynomial networks for image recognition", 2023). In all
// stages but the last, the branch's first norm is IBN: the first 80 % of the channels are normalised over their clip
// (instance norm), the others over the batch. Behind each stage but the last comes a maximum over three rows, behind
// the first two in training DropBlock, which drops runs of 7 rows with probability 0.1. Convolutions of the
// branch and of the product start from N(0, 16/fan-in).
//
// Neither instance norms nor maxima are polynomials, and instance norms hear the whole clip: such nets give no answers
// for streams (Config.WholeClip).
const (
	RPoly BlockKind = "rpoly" // F + S + a·BN(conv1x1(F∘S)) ("R-PolyNet")
	// F + S + a·BN(conv1x1(P)), P = θ·F∘S∘H + F∘S with H = IterNorm(conv1x1(Q)) and Q the Hadamard product of P of all earlier
	// blocks; the first block has P = F∘S ("D-PolyNet"). Where a block changes width or has a stride, the earlier P pass one
	// more BN(conv1x1(·)) of its stride, the same for all of them. IterNorm whitens groups of at most 64 channels (Huang et
	// al., 2019).
	DPoly BlockKind = "dpoly"
)

// BlockKinds lists the block kinds in the order that they are documented.
func BlockKinds() []BlockKind {
	return []BlockKind{Linear, ReLU, Pi, PiReLU, Pi1x1, Pi1x1ReLU, PiTanh, CCP, NCP, NCPSkip, RPoly, DPoly}
}

// Decomposition reports whether the kind's blocks are polynomials of a degree that Config.Degree says.
func (k BlockKind) Decomposition() bool { return k == CCP || k == NCP || k == NCPSkip }

// Rectified reports whether the kind has max(·, 0) behind the stem and in its blocks.
func (k BlockKind) Rectified() bool { return k == ReLU || k == PiReLU || k == Pi1x1ReLU }

// regularised reports whether the kind has the regularisation of R-PolyNets.
func (k BlockKind) regularised() bool { return k == RPoly || k == DPoly }
